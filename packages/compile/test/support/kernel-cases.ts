import { Rng } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';

/**
 * Every tfjs kernel with a rule, eagerly on the cpu backend and traced then interpreted. `x` is [2, 3, 4] in (0.1, 0.9),
 * `y` likewise, `image` is [2, 6, 5, 3]; where `gradient` is set the derivative for `x` (or the image) is compared too.
 */
export interface KernelCase {
  readonly name: string;
  readonly run: (t: { x: tf.Tensor; y: tf.Tensor; image: tf.Tensor }) => tf.Tensor;
  readonly of?: 'x' | 'image';
  /** Whether the gradient is compared as well; false where tfjs has none. */
  readonly gradient?: boolean;
}

const asImage = (t: tf.Tensor): tf.Tensor4D => t as tf.Tensor4D;
/** Numbers that are the same every time. */
export const weights = (shape: number[], seed = 1): tf.Tensor =>
  tf.tensor(
    Rng.of(seed, 'w').uniforms(
      shape.reduce((a, b) => a * b),
      -1,
      1,
    ),
    shape,
  );
/** Whole numbers from 100 to 900. */
const whole = (t: tf.Tensor): tf.Tensor => tf.cast(tf.mul(t, 1000), 'int32');
const matrix = (t: tf.Tensor): tf.Tensor2D => tf.reshape(t, [6, 4]);
const unary = (names: string[]): KernelCase[] =>
  names.map((name) => ({
    name,
    run: ({ x }) => (tf as unknown as Record<string, (t: tf.Tensor) => tf.Tensor>)[name](x),
  }));

export const KERNEL_CASES: KernelCase[] = [
  ...unary([
    'abs',
    'neg',
    'exp',
    'expm1',
    'log',
    'log1p',
    'sqrt',
    'rsqrt',
    'square',
    'reciprocal',
    'erf',
    'tanh',
    'sigmoid',
    'sin',
    'cos',
    'tan',
    'asin',
    'acos',
    'atan',
    'sinh',
    'cosh',
    'asinh',
    'atanh',
    'relu',
    'relu6',
    'elu',
    'selu',
    'leakyRelu',
    'softplus',
    'step',
    'floor',
    'ceil',
    'round',
    'sign',
    'softmax',
    'logSoftmax',
    'zerosLike',
    'onesLike',
    'clone',
  ]),
  { name: 'acosh', run: ({ x }) => tf.acosh(tf.add(x, 1)) },
  { name: 'add broadcast', run: ({ x, y }) => tf.add(x, tf.slice(y, [0, 0, 0], [1, 3, 1])) },
  { name: 'sub', run: ({ x, y }) => tf.sub(y, x) },
  { name: 'mul', run: ({ x, y }) => tf.mul(x, y) },
  { name: 'div', run: ({ x, y }) => tf.div(y, x) },
  { name: 'pow', run: ({ x, y }) => tf.pow(x, y) },
  { name: 'maximum', run: ({ x, y }) => tf.maximum(x, y) },
  { name: 'minimum', run: ({ x, y }) => tf.minimum(x, y) },
  { name: 'atan2', run: ({ x, y }) => tf.atan2(x, y) },
  { name: 'mod', run: ({ x }) => tf.mod(x, 0.3) },
  { name: 'floorDiv', run: ({ x }) => tf.floorDiv(x, 0.3), gradient: false },
  { name: 'mod of both signs', run: ({ x, y }) => tf.mod(tf.sub(x, 0.5), tf.sub(y, 0.5)), gradient: false },
  { name: 'mod of large numbers', run: ({ x }) => tf.mod(tf.floor(tf.mul(x, 1e9)), 7), gradient: false },
  {
    name: 'whole numbers that are no float32',
    gradient: false,
    run: ({ x }) => {
      const base = tf.scalar(2_000_000_000, 'int32');
      const i = tf.add(whole(x), base);
      return tf.add(tf.sub(tf.floorDiv(i, tf.scalar(1, 'int32')), base), tf.mod(tf.neg(i), tf.scalar(7, 'int32')));
    },
  },
  {
    name: 'whole numbers of both signs divided',
    gradient: false,
    run: ({ x, y }) => {
      const [a, b] = [x, y].map((t) => tf.sub(whole(t), tf.scalar(500, 'int32')));
      return tf.add(tf.floorDiv(a, b), tf.mul(tf.mod(a, b), tf.scalar(1000, 'int32')));
    },
  },
  {
    name: 'functions of whole numbers',
    gradient: false,
    run: ({ x }) => {
      const i = tf.floorDiv(whole(x), tf.scalar(100, 'int32'));
      const flags = tf.add(tf.cast(tf.isFinite(i), 'float32'), tf.cast(tf.isInf(i), 'float32'));
      return tf.addN([tf.exp(i), tf.cast(tf.relu6(i), 'float32'), flags]);
    },
  },
  { name: 'squaredDifference', run: ({ x, y }) => tf.squaredDifference(x, y) },
  { name: 'addN', run: ({ x, y }) => tf.addN([x, y, x]) },
  { name: 'prelu', run: ({ x }) => tf.prelu(tf.sub(x, 0.5), weights([4])) },
  { name: 'clipByValue', run: ({ x }) => tf.clipByValue(x, 0.3, 0.6) },
  { name: 'where', run: ({ x, y }) => tf.where(tf.greater(y, 0.5), x, tf.mul(x, y)) },
  {
    name: 'comparisons',
    gradient: false,
    run: ({ x, y }) =>
      tf.addN(
        [
          tf.less(x, y),
          tf.lessEqual(x, y),
          tf.greater(x, y),
          tf.greaterEqual(x, y),
          tf.equal(x, y),
          tf.notEqual(x, y),
        ].map((b) => tf.cast(b, 'float32')),
      ),
  },
  {
    name: 'logical',
    gradient: false,
    run: ({ x, y }) =>
      tf.cast(tf.logicalOr(tf.logicalNot(tf.less(x, y)), tf.logicalAnd(tf.less(x, 0.2), tf.less(y, 0.5))), 'float32'),
  },
  {
    name: 'isFinite isNaN isInf',
    gradient: false,
    run: ({ x }) => {
      const z = tf.div(tf.sub(x, 0.5), tf.relu(tf.sub(x, 0.5)));
      return tf.addN([tf.isFinite(z), tf.isInf(z), tf.isNaN(z)].map((b, i) => tf.mul(tf.cast(b, 'float32'), i + 1)));
    },
  },
  { name: 'sum', run: ({ x }) => tf.sum(x, [0, 2]) },
  { name: 'mean', run: ({ x }) => tf.mean(x, 1, true) },
  { name: 'max', run: ({ x }) => tf.max(x, 1) },
  { name: 'min', run: ({ x }) => tf.min(x, [1, 2]) },
  { name: 'prod', run: ({ x }) => tf.prod(x, 1), gradient: false },
  {
    name: 'any all',
    gradient: false,
    run: ({ x }) =>
      tf.add(tf.cast(tf.any(tf.less(x, 0.2), 1), 'float32'), tf.cast(tf.all(tf.less(x, 0.8), 1), 'float32')),
  },
  {
    name: 'argMax argMin',
    gradient: false,
    run: ({ x }) => tf.cast(tf.add(tf.argMax(x, 1), tf.mul(tf.argMin(x, 1), 10)), 'float32'),
  },
  { name: 'cumsum', run: ({ x }) => tf.cumsum(x, 2) },
  // tfjs's own gradient fails on any axis but the last.
  { name: 'cumsum exclusive reverse', run: ({ x }) => tf.cumsum(x, 1, true, true), gradient: false },
  { name: 'topk', run: ({ x }) => tf.topk(x, 2).values, gradient: false },
  { name: 'reshape transpose', run: ({ x }) => tf.transpose(tf.reshape(x, [4, 2, 3]), [2, 0, 1]) },
  { name: 'expandDims squeeze tile', run: ({ x }) => tf.tile(tf.squeeze(tf.expandDims(x, 1)), [1, 2, 3]) },
  { name: 'broadcastTo', run: ({ x }) => tf.broadcastTo(tf.slice(x, [0, 0, 0], [2, 1, 4]), [2, 5, 4]) },
  { name: 'slice', run: ({ x }) => tf.slice(x, [0, 1, 1], [2, 2, 2]) },
  { name: 'stridedSlice', run: ({ x }) => tf.stridedSlice(x, [0, 2, 0], [2, 0, 4], [1, -1, 2]), gradient: false },
  {
    name: 'split',
    run: ({ x }) => {
      const [a, b] = tf.split(x, [1, 3], 2);
      return tf.add(tf.sum(a), b);
    },
  },
  { name: 'stack, last axis', run: ({ x, y }) => tf.stack([x, y], -1) },
  { name: 'stack of one', run: ({ x }) => tf.stack([x], -2) },
  {
    name: 'unstack stack',
    run: ({ x }) => {
      const [a, b, c] = tf.unstack(x, 1);
      return tf.stack([c, a, b], 1);
    },
  },
  { name: 'concat', run: ({ x, y }) => tf.concat([x, y, x], 1) },
  {
    name: 'pad',
    run: ({ x }) =>
      tf.pad(
        x,
        [
          [0, 1],
          [2, 0],
          [1, 1],
        ],
        0.5,
      ),
  },
  {
    name: 'mirrorPad reflect',
    run: ({ x }) =>
      tf.mirrorPad(
        x,
        [
          [0, 0],
          [1, 2],
          [3, 1],
        ],
        'reflect',
      ),
    gradient: false,
  },
  {
    name: 'mirrorPad symmetric',
    run: ({ x }) =>
      tf.mirrorPad(
        x,
        [
          [1, 0],
          [1, 2],
          [3, 1],
        ],
        'symmetric',
      ),
    gradient: false,
  },
  { name: 'reverse', run: ({ x }) => tf.reverse(x, [0, 2]) },
  // The gradients of these two fail in tfjs itself.
  {
    name: 'spaceToBatchND',
    of: 'image',
    gradient: false,
    run: ({ image }) =>
      tf.spaceToBatchND(
        asImage(image),
        [2, 1],
        [
          [0, 0],
          [1, 0],
        ],
      ),
  },
  {
    name: 'batchToSpaceND',
    of: 'image',
    gradient: false,
    run: ({ image }) =>
      tf.batchToSpaceND(
        asImage(image),
        [2, 1],
        [
          [1, 1],
          [0, 0],
        ],
      ),
  },
  {
    name: 'range linspace fill',
    run: ({ x }) => tf.add(tf.add(x, tf.range(0, 4, 1)), tf.add(tf.linspace(0, 1, 4), tf.fill([2, 1, 1], 3))),
  },
  { name: 'cast', run: ({ x }) => tf.cast(tf.cast(tf.mul(x, 10), 'int32'), 'float32') },
  { name: 'matMul', run: ({ x }) => tf.matMul(matrix(x), weights([5, 4]) as tf.Tensor2D, false, true) },
  { name: 'matMul batched broadcast', run: ({ x, y }) => tf.matMul(x, tf.slice(y, [0, 0, 0], [1, 3, 4]), true, false) },
  { name: 'dot', run: ({ x }) => tf.dot(matrix(x), weights([4]) as tf.Tensor1D) },
  { name: 'gather', run: ({ x }) => tf.gather(x, tf.tensor1d([2, 0, 0, 1], 'int32'), 1) },
  {
    name: 'gatherND',
    run: ({ x }) =>
      tf.gatherND(
        x,
        tf.tensor2d(
          [
            [0, 2],
            [1, 1],
          ],
          undefined,
          'int32',
        ),
      ),
    gradient: false,
  },
  {
    name: 'scatterND',
    run: ({ x }) => tf.scatterND(tf.tensor2d([[3], [1], [3], [0], [5], [1]], undefined, 'int32'), matrix(x), [7, 4]),
    gradient: false,
  },
  {
    name: 'unsortedSegmentSum',
    run: ({ x }) => tf.unsortedSegmentSum(matrix(x), tf.tensor1d([1, 0, 1, 3, 3, 3], 'int32'), 4),
  },
  {
    name: 'oneHot',
    run: ({ x }) =>
      tf.matMul(matrix(x), tf.cast(tf.oneHot(tf.tensor1d([1, 0, 2, 1], 'int32'), 3), 'float32') as tf.Tensor2D),
  },
  {
    name: 'conv2d same stride 2',
    of: 'image',
    run: ({ image }) => tf.conv2d(asImage(image), weights([3, 3, 3, 4]) as tf.Tensor4D, 2, 'same'),
  },
  {
    name: 'conv2d valid dilated',
    of: 'image',
    gradient: false,
    run: ({ image }) => tf.conv2d(asImage(image), weights([2, 2, 3, 4]) as tf.Tensor4D, 1, 'valid', 'NHWC', 2),
  },
  {
    name: 'conv2dTranspose',
    of: 'image',
    run: ({ image }) =>
      tf.conv2dTranspose(asImage(image), weights([3, 3, 4, 3]) as tf.Tensor4D, [2, 12, 10, 4], 2, 'same'),
  },
  {
    name: 'depthwiseConv2d',
    of: 'image',
    run: ({ image }) => tf.depthwiseConv2d(asImage(image), weights([3, 3, 3, 2]) as tf.Tensor4D, 1, 'same'),
  },
  {
    name: 'conv2d filter gradient',
    of: 'x',
    run: ({ x }) => tf.conv2d(weights([1, 6, 5, 2]) as tf.Tensor4D, tf.reshape(x, [2, 3, 2, 2]), 2, 'same'),
  },
  {
    name: 'depthwise filter gradient',
    of: 'x',
    run: ({ x }) => tf.depthwiseConv2d(weights([1, 6, 5, 4]) as tf.Tensor4D, tf.reshape(x, [2, 3, 4, 1]), 1, 'valid'),
  },
  { name: 'maxPool', of: 'image', run: ({ image }) => tf.maxPool(asImage(image), 3, 2, 'same') },
  { name: 'avgPool', of: 'image', run: ({ image }) => tf.avgPool(asImage(image), 2, 1, 'valid') },
  // With padding tfjs's gradient divides by the whole window although its forward pass does not; ours is the derivative.
  {
    name: 'avgPool padded',
    of: 'image',
    gradient: false,
    run: ({ image }) => tf.avgPool(asImage(image), 3, 2, 'same'),
  },
  {
    name: 'resizeBilinear',
    of: 'image',
    run: ({ image }) => tf.image.resizeBilinear(asImage(image), [9, 4], false, true),
    gradient: false,
  },
  {
    name: 'resizeNearestNeighbor',
    of: 'image',
    run: ({ image }) => tf.image.resizeNearestNeighbor(asImage(image), [9, 4]),
    gradient: false,
  },
  {
    name: 'batchNorm',
    of: 'image',
    run: ({ image }) =>
      tf.batchNorm(
        asImage(image),
        weights([3]) as tf.Tensor1D,
        tf.abs(weights([3], 2)) as tf.Tensor1D,
        weights([3], 3) as tf.Tensor1D,
        weights([3], 4) as tf.Tensor1D,
      ),
  },
];
