import * as tf from '@tensorflow/tfjs-core';
import { sizeOf } from '@selfsup/core';
import { convolutionGeometry, flagOf, windowGeometry, type ConvolutionGeometry } from '../graph/attributes.js';
import type { Kernels } from './kernels.js';
import type { Rule } from './rule.js';
import { pad, reshape, slice } from './shape.js';

/*
 * Padding is applied before, and taken off gradients after, a kernel without padding: backends differ in which explicit
 * paddings they accept. Dilated filters are spelled out with zeros: the gradient kernels know no dilation.
 */

type Padding = readonly number[];

function padImage(k: Kernels, x: tf.Tensor, [top, bottom, left, right]: Padding, value = 0): tf.Tensor {
  return pad(k, x, [0, top, left, 0], [0, bottom, right, 0], value);
}

function paddedShape(
  [batch, height, width, channels]: readonly number[],
  [top, bottom, left, right]: Padding,
): number[] {
  return [batch, height + top + bottom, width + left + right, channels];
}

/** Takes the padding off again. */
function cropImage(k: Kernels, x: tf.Tensor, shape: readonly number[], [top, , left]: Padding): tf.Tensor {
  const start = [0, top, left, 0];
  return slice(
    k,
    x,
    start,
    shape.map((size, d) => start[d] + size),
  );
}

const dilated = (size: number, dilation: number): number => (size - 1) * dilation + 1;

/** Puts zeros between the taps of a filter [h, w, I, O]. */
function dilateFilter(k: Kernels, w: tf.Tensor, dilations: readonly number[]): tf.Tensor {
  let spread = w;
  dilations.forEach((dilation, d) => {
    if (dilation === 1) return;
    const shape: readonly number[] = spread.shape;
    const outer = shape.slice(0, d).reduce((n, size) => n * size, 1);
    const inner = spread.size / (outer * shape[d]);
    const padded = pad(k, reshape(k, spread, [outer, shape[d], 1, inner]), [0, 0, 0, 0], [0, 0, dilation - 1, 0]);
    const rows = reshape(k, padded, [outer, shape[d] * dilation, inner]);
    const size = dilated(shape[d], dilation);
    const cut = slice(k, rows, [0, 0, 0], [outer, size, inner]);
    spread = reshape(
      k,
      cut,
      shape.map((s, i) => (i === d ? size : s)),
    );
  });
  return spread;
}

function dilatedShape([h, w, inner, out]: readonly number[], [dh, dw]: readonly number[]): number[] {
  return [dilated(h, dh), dilated(w, dw), inner, out];
}

/** Keeps the taps of the gradient of a dilated filter. */
function undilateFilter(k: Kernels, w: tf.Tensor, [dh, dw]: readonly number[]): tf.Tensor {
  return dh === 1 && dw === 1 ? w : slice(k, w, [0, 0, 0, 0], w.shape, [dh, dw, 1, 1]);
}

/** Channels of one group. */
function channelsOf(k: Kernels, x: tf.Tensor, group: number, groups: number): tf.Tensor {
  const [batch, height, width, channels]: readonly number[] = x.shape;
  const size = channels / groups;
  return slice(k, x, [0, 0, 0, group * size], [batch, height, width, (group + 1) * size]);
}

/** One convolution kernel for each group of channels, results side by side. */
function byGroup(k: Kernels, groups: number, run: (group: number) => tf.Tensor): tf.Tensor {
  if (groups === 1) return run(0);
  return k.run(
    'Concat',
    Array.from({ length: groups }, (_, g) => run(g)),
    { axis: 3 },
  );
}

const common = ({ strides }: ConvolutionGeometry): { strides: number[]; pad: 'valid'; dataFormat: 'NHWC' } => ({
  strides: [...strides],
  pad: 'valid',
  dataFormat: 'NHWC',
});

/** [h, w, 1, C M] with a group for each of C channels as tfjs writes it: [h, w, C, M]. */
const depthwiseShape = ([h, w, , out]: readonly number[], groups: number): number[] => [h, w, groups, out / groups];

const isDepthwise = (filter: readonly number[], groups: number): boolean => groups > 1 && filter[2] === 1;

const convolution: Rule = ({ kernels: k, inputs: [image, weight], attrs }) => {
  const geometry = convolutionGeometry(attrs);
  const { groups } = geometry;
  const x = padImage(k, image, geometry.padding);
  const filter = dilateFilter(k, weight, geometry.dilations);
  const shared = { ...common(geometry), dilations: [1, 1] };
  if (isDepthwise(filter.shape, groups)) {
    const taps = reshape(k, filter, depthwiseShape(filter.shape, groups));
    return k.run('DepthwiseConv2dNative', { x, filter: taps }, shared);
  }
  return byGroup(k, groups, (g) =>
    k.run('Conv2D', { x: channelsOf(k, x, g, groups), filter: channelsOf(k, filter, g, groups) }, shared),
  );
};

const inputGrad: Rule = ({ kernels: k, inputs: [dy, weight], attrs, outputs: [image] }) => {
  const geometry = convolutionGeometry(attrs);
  const { groups } = geometry;
  const filter = dilateFilter(k, weight, geometry.dilations);
  const inputShape = paddedShape(image.shape, geometry.padding);
  const shared = { ...common(geometry), dilations: [1, 1] };
  const whole = isDepthwise(filter.shape, groups)
    ? k.run(
        'DepthwiseConv2dNativeBackpropInput',
        { dy, filter: reshape(k, filter, depthwiseShape(filter.shape, groups)) },
        { ...shared, inputShape },
      )
    : byGroup(k, groups, (g) =>
        k.run(
          'Conv2DBackpropInput',
          { dy: channelsOf(k, dy, g, groups), filter: channelsOf(k, filter, g, groups) },
          { ...shared, inputShape: [...inputShape.slice(0, 3), inputShape[3] / groups] },
        ),
      );
  return cropImage(k, whole, image.shape, geometry.padding);
};

const filterGrad: Rule = ({ kernels: k, inputs: [image, dy], attrs, outputs: [weight] }) => {
  const geometry = convolutionGeometry(attrs);
  const { groups } = geometry;
  const x = padImage(k, image, geometry.padding);
  const filterShape = dilatedShape(weight.shape, geometry.dilations);
  const shared = { ...common(geometry), dilations: [1, 1] };
  if (isDepthwise(filterShape, groups)) {
    const taps = depthwiseShape(filterShape, groups);
    const grad = k.run('DepthwiseConv2dNativeBackpropFilter', { x, dy }, { ...shared, filterShape: taps });
    return undilateFilter(k, reshape(k, grad, filterShape), geometry.dilations);
  }
  const grad = byGroup(k, groups, (g) =>
    k.run(
      'Conv2DBackpropFilter',
      { x: channelsOf(k, x, g, groups), dy: channelsOf(k, dy, g, groups) },
      { ...shared, filterShape: [...filterShape.slice(0, 3), filterShape[3] / groups] },
    ),
  );
  return undilateFilter(k, grad, geometry.dilations);
};

/** Sums over windows are depthwise convolutions with ones. */
const ones = ([h, w]: readonly number[], image: tf.Tensor): tf.Tensor =>
  tf.ones([h, w, image.size / sizeOf(image.shape.slice(0, 3)), 1]);

const reduceWindow: Rule = ({ kernels: k, inputs: [image], attrs }) => {
  const { kind, window, strides, padding } = windowGeometry(attrs);
  const shared = { strides: [...strides], pad: 'valid' };
  if (kind === 'max') {
    return k.run('MaxPool', { x: padImage(k, image, padding, -Infinity) }, { ...shared, filterSize: [...window] });
  }
  const filter = ones(window, image);
  return k.run('DepthwiseConv2dNative', { x: padImage(k, image, padding), filter }, { ...shared, dilations: [1, 1] });
};

const reduceWindowGrad: Rule = ({ kernels: k, inputs: [dy, image], attrs }) => {
  const { kind, window, strides, padding } = windowGeometry(attrs);
  const shared = { strides: [...strides], pad: 'valid' };
  if (kind === 'max') {
    const pool = { ...shared, filterSize: [...window] };
    const input = padImage(k, image, padding, -Infinity);
    const output = k.run('MaxPool', { x: input }, pool);
    return cropImage(k, k.run('MaxPoolGrad', { dy, input, output }, pool), image.shape, padding);
  }
  const whole = k.run(
    'DepthwiseConv2dNativeBackpropInput',
    { dy, filter: ones(window, image) },
    { ...shared, dilations: [1, 1], inputShape: paddedShape(image.shape, padding) },
  );
  return cropImage(k, whole, image.shape, padding);
};

const resize =
  (kernel: string): Rule =>
  ({ kernels, inputs: [images], attrs, outputs: [y] }) =>
    kernels.run(
      kernel,
      { images },
      {
        size: y.shape.slice(1, 3),
        alignCorners: flagOf(attrs, 'alignCorners'),
        halfPixelCenters: flagOf(attrs, 'halfPixelCenters'),
      },
    );

/** Convolution, pooling and resizing of NHWC images. */
export const WINDOW = {
  convolution,
  convolution_input_grad: inputGrad,
  convolution_filter_grad: filterGrad,
  reduce_window: reduceWindow,
  reduce_window_grad: reduceWindowGrad,
  resize_bilinear: resize('ResizeBilinear'),
  resize_nearest: resize('ResizeNearestNeighbor'),
} satisfies Readonly<Record<string, Rule>>;
