import type { Attribute, Op } from '@selfsup/compile';
import {
  bool,
  f32,
  i32,
  lowerTriangular,
  positiveDefinite,
  wave,
  type OperationCase,
  type Operand,
  type Out,
} from './operands.js';

const unary = (op: Op, x: Operand = wave([3, 5], -2, 2), maxRel?: number): OperationCase => ({
  op,
  inputs: [x],
  outputs: [[x.shape]],
  maxRel,
});
const a = wave([2, 3, 4], -2, 2);
const b = wave([3, 1], -2, 2, 2);
const binary = (op: Op): OperationCase[] => [
  { op, inputs: [a, b], outputs: [[[2, 3, 4]]] },
  { op, note: 'i32', inputs: [i32([6], [7, -7, 8, 5, -3, 0]), i32([6], [2, 2, -3, 5, 2, 4])], outputs: [[[6], 'i32']] },
];
const masks = [bool([2, 2], [0, 1, 0, 1]), bool([2, 2], [0, 0, 1, 1])];
const logical = (op: Op): OperationCase => ({ op, inputs: masks, outputs: [[[2, 2], 'bool']] });
const conv = (extra: Record<string, Attribute> = {}): Record<string, Attribute> => ({
  strides: [1, 1],
  dilations: [1, 1],
  padding: [0, 0, 0, 0],
  groups: 1,
  ...extra,
});
const convolutions: readonly {
  note: string;
  x: number[];
  w: number[];
  y: number[];
  attrs: Record<string, Attribute>;
}[] = [
  { note: 'plain', x: [2, 5, 6, 3], w: [3, 2, 3, 4], y: [2, 3, 5, 4], attrs: conv() },
  {
    note: 'strides that leave a rest, uneven padding',
    x: [1, 8, 7, 2],
    w: [3, 3, 2, 3],
    y: [1, 4, 4, 3],
    attrs: conv({ strides: [2, 2], padding: [0, 1, 1, 1] }),
  },
  {
    note: 'dilated, in groups',
    x: [2, 7, 7, 4],
    w: [2, 2, 2, 6],
    y: [2, 5, 5, 6],
    attrs: conv({ dilations: [2, 2], groups: 2 }),
  },
  { note: 'patches', x: [2, 8, 8, 3], w: [4, 4, 3, 5], y: [2, 2, 2, 5], attrs: conv({ strides: [4, 4] }) },
];
const window = (kind: string): Record<string, Attribute> => ({
  kind,
  window: [3, 2],
  strides: [2, 1],
  padding: [1, 0, 0, 1],
});
const resize = (alignCorners: boolean, halfPixelCenters: boolean): Record<string, Attribute> => ({
  alignCorners,
  halfPixelCenters,
});
const rows = wave([6, 7], -3, 3);
const attentionShapes = [
  [2, 3, 5, 4],
  [2, 3, 7, 4],
  [2, 3, 7, 4],
].map((shape, i) => wave(shape, -1, 1, i + 3));

/** Operations with the values that matter: edges, ties, zeros, every attribute. */
export const OPERATION_CASES: readonly OperationCase[] = [
  ...(['add', 'subtract', 'multiply', 'divide', 'maximum', 'minimum', 'remainder'] as const).flatMap(binary),
  { op: 'power', inputs: [wave([2, 3], 0.1, 3), wave([3], -2, 2)], outputs: [[[2, 3]]] },
  { op: 'power', note: 'i32', inputs: [i32([3], [2, -3, 5]), i32([3], [5, 3, 0])], outputs: [[[3], 'i32']] },
  {
    op: 'atan2',
    inputs: [f32([9], [0, 1, -1, 0, 0.5, -0.5, 1e-30, 3, -3]), f32([9], [1, 0, 0, -1, -0.5, -0.5, -1e-30, 1, -4])],
    outputs: [[[9]]],
  },
  ...(['and', 'or', 'xor'] as const).map(logical),
  ...['EQ', 'NE', 'LT', 'LE', 'GT', 'GE'].flatMap((direction): OperationCase[] => [
    {
      op: 'compare',
      note: direction,
      inputs: [f32([4], [1, 2, 3, NaN]), f32([4], [2, 2, 2, 2])],
      outputs: [[[4], 'bool']],
      attrs: { direction },
    },
    {
      op: 'compare',
      note: `${direction} i32`,
      inputs: [i32([3], [1, 2, 3]), i32([1], [2])],
      outputs: [[[3], 'bool']],
      attrs: { direction },
    },
    { op: 'compare', note: `${direction} bool`, inputs: masks, outputs: [[[2, 2], 'bool']], attrs: { direction } },
  ]),
  { op: 'select', inputs: [bool([2, 1], [1, 0]), wave([2, 3]), wave([3], 5, 6)], outputs: [[[2, 3]]] },
  {
    op: 'select',
    note: 'i32',
    inputs: [bool([2], [1, 0]), i32([2], [1, 2]), i32([2], [3, 4])],
    outputs: [[[2], 'i32']],
  },
  { op: 'select', note: 'bool', inputs: [bool([2, 2], [1, 0, 1, 0]), ...masks], outputs: [[[2, 2], 'bool']] },
  ...(
    [
      'negate',
      'abs',
      'sign',
      'exponential',
      'floor',
      'ceil',
      'erf',
      'tanh',
      'logistic',
      'sine',
      'cosine',
      'tan',
    ] as const
  ).map((op) => unary(op)),
  ...(['sinh', 'cosh', 'asinh', 'atan'] as const).map((op) => unary(op)),
  ...(['negate', 'abs', 'sign'] as const).map((op): OperationCase => ({
    op,
    note: 'i32',
    inputs: [i32([3], [-2, 0, 5])],
    outputs: [[[3], 'i32']],
  })),
  unary('exponential_minus_one', f32([8], [1e-8, -1e-8, 1e-3, 0.4, -0.6, 1, -20, 60]), 1e-6),
  { ...unary('exponential_minus_one', f32([4], [1e-8, -3e-8, 1e-6, -2e-6]), 1e-6), note: 'near zero' },
  unary('log_plus_one', f32([7], [1e-3, 0.4, -0.6, 1, 1e8, 1e30, -0.999])),
  { ...unary('log_plus_one', f32([4], [1e-8, -3e-8, 1e-6, -2e-6]), 1e-6), note: 'near zero' },
  ...(['log', 'sqrt', 'rsqrt'] as const).map((op) => unary(op, wave([3, 5], 0.1, 4))),
  ...(['asin', 'acos', 'atanh'] as const).map((op) => unary(op, wave([3, 5], -0.9, 0.9))),
  unary('acosh', wave([3, 5], 1.1, 4)),
  unary('round_nearest_even', f32([6], [0.5, 1.5, 2.5, -0.5, -1.5, 2.4])),
  { op: 'not', inputs: [masks[0]], outputs: [[[2, 2], 'bool']] },
  { op: 'is_finite', inputs: [f32([5], [1, NaN, Infinity, -Infinity, 3e38])], outputs: [[[5], 'bool']] },
  { op: 'convert', note: 'f32 to i32', inputs: [f32([4], [1.9, -1.9, 0, 3e6])], outputs: [[[4], 'i32']] },
  { op: 'convert', note: 'f32 to bool', inputs: [f32([3], [0.1, 0, -2])], outputs: [[[3], 'bool']] },
  { op: 'convert', note: 'bool to f32', inputs: [masks[0]], outputs: [[[2, 2]]] },
  { op: 'convert', note: 'i32 to f32', inputs: [i32([2], [3, -4])], outputs: [[[2]]] },
  { op: 'reshape', inputs: [a], outputs: [[[4, 6]]] },
  { op: 'broadcast_in_dim', inputs: [b], outputs: [[[2, 3, 4]]] },
  { op: 'transpose', inputs: [a], outputs: [[[4, 2, 3]]], attrs: { permutation: [2, 0, 1] } },
  {
    op: 'transpose',
    note: 'bool',
    inputs: [bool([1, 3], [1, 0, 1])],
    outputs: [[[3, 1], 'bool']],
    attrs: { permutation: [1, 0] },
  },
  {
    op: 'slice',
    inputs: [a],
    outputs: [[[1, 2, 2]]],
    attrs: { start: [1, 0, 1], limit: [2, 3, 4], strides: [1, 2, 2] },
  },
  { op: 'pad', inputs: [a], outputs: [[[3, 3, 6]]], attrs: { low: [1, 0, 0], high: [0, 0, 2], value: -3 } },
  {
    op: 'pad',
    note: 'i32',
    inputs: [i32([2], [1, 2])],
    outputs: [[[4], 'i32']],
    attrs: { low: [1], high: [1], value: 7 },
  },
  { op: 'concatenate', inputs: [wave([2, 2]), wave([2, 3], 0, 1, 2)], outputs: [[[2, 5]]], attrs: { dimension: 1 } },
  { op: 'reverse', inputs: [a], outputs: [[[2, 3, 4]]], attrs: { dimensions: [0, 2] } },
  {
    op: 'dot_general',
    inputs: [wave([5, 7]), wave([7, 3], -1, 1, 2)],
    outputs: [[[5, 3]]],
    attrs: { transposeA: false, transposeB: false },
  },
  {
    op: 'dot_general',
    note: 'both transposed',
    inputs: [wave([7, 5]), wave([3, 7], -1, 1, 2)],
    outputs: [[[5, 3]]],
    attrs: { transposeA: true, transposeB: true },
  },
  {
    op: 'dot_general',
    note: 'batched, broadcast',
    inputs: [wave([2, 1, 4, 7]), wave([3, 7, 5], -1, 1, 2)],
    outputs: [[[2, 3, 4, 5]]],
    attrs: { transposeA: false, transposeB: false },
  },
  {
    op: 'dot_general',
    note: 'batched, left transposed',
    inputs: [wave([2, 7, 4]), wave([2, 7, 5], -1, 1, 2)],
    outputs: [[[2, 4, 5]]],
    attrs: { transposeA: true, transposeB: false },
  },
  {
    op: 'dot_general',
    note: 'rows with one matrix',
    inputs: [wave([2, 3, 7]), wave([5, 7], -1, 1, 2)],
    outputs: [[[2, 3, 5]]],
    attrs: { transposeA: false, transposeB: true },
  },
  ...['sum', 'max', 'min', 'prod'].flatMap((kind): OperationCase[] => [
    { op: 'reduce', note: kind, inputs: [a], outputs: [[[3]]], attrs: { kind, dimensions: [0, 2], keepDims: false } },
    {
      op: 'reduce',
      note: `${kind} i32`,
      inputs: [i32([2, 3], [1, -2, 3, 4, 5, 6])],
      outputs: [[[2, 1], 'i32']],
      attrs: { kind, dimensions: [1], keepDims: true },
    },
  ]),
  {
    op: 'reduce',
    note: 'no dimensions',
    inputs: [a],
    outputs: [[[2, 3, 4]]],
    attrs: { kind: 'sum', dimensions: [], keepDims: false },
  },
  ...['any', 'all', 'max', 'min'].map((kind): OperationCase => ({
    op: 'reduce',
    note: `${kind} bool`,
    inputs: [bool([2, 3], [0, 1, 0, 0, 1, 1])],
    outputs: [[[3], 'bool']],
    attrs: { kind, dimensions: [0], keepDims: false },
  })),
  ...(['argmax', 'argmin'] as const).flatMap((op): OperationCase[] => [
    { op, inputs: [f32([2, 4], [1, 5, 5, -1, 3, 3, 0, 0])], outputs: [[[2], 'i32']], attrs: { dimension: 1 } },
    { op, note: 'i32', inputs: [i32([3, 2], [1, 2, 5, -1, 3, 3])], outputs: [[[2], 'i32']], attrs: { dimension: 0 } },
  ]),
  ...[false, true].flatMap((exclusive) =>
    [false, true].map((reverse): OperationCase => ({
      op: 'cumsum',
      note: `${exclusive} ${reverse}`,
      inputs: [a],
      outputs: [[[2, 3, 4]]],
      attrs: { dimension: 1, exclusive, reverse },
    })),
  ),
  {
    op: 'cumsum',
    note: 'i32',
    inputs: [i32([4], [1, 2, 3, 4])],
    outputs: [[[4], 'i32']],
    attrs: { dimension: 0, exclusive: false, reverse: false },
  },
  { op: 'iota', inputs: [], outputs: [[[5]]], attrs: { start: 1, step: 0.5 } },
  { op: 'iota', note: 'i32', inputs: [], outputs: [[[5], 'i32']], attrs: { start: 3, step: -1 } },
  { op: 'gather', inputs: [a, i32([2, 2], [2, 0, 1, 1])], outputs: [[[2, 2, 2, 4]]], attrs: { dimension: 1 } },
  { op: 'scatter_add', inputs: [i32([5], [3, 0, 3, 3, 1]), wave([5, 2])], outputs: [[[4, 2]]], attrs: { rows: 4 } },
  {
    op: 'scatter_add',
    note: 'many updates of few rows',
    inputs: [
      i32(
        [4000],
        Array.from({ length: 4000 }, (_, i) => i % 3),
      ),
      wave([4000, 16]),
    ],
    outputs: [[[3, 16]]],
    attrs: { rows: 3 },
  },
  { op: 'one_hot', inputs: [i32([4], [0, 2, 5, -1])], outputs: [[[4, 3]]], attrs: { depth: 3, on: 1, off: 0 } },
  {
    op: 'one_hot',
    note: 'other values',
    inputs: [i32([2, 1], [0, 2])],
    outputs: [[[2, 1, 3], 'i32']],
    attrs: { depth: 3, on: 5, off: -2 },
  },
  ...convolutions.flatMap(({ note, x, w, y, attrs }): OperationCase[] => [
    { op: 'convolution', note, inputs: [wave(x), wave(w, -1, 1, 2)], outputs: [[y]], attrs },
    { op: 'convolution_input_grad', note, inputs: [wave(y), wave(w, -1, 1, 2)], outputs: [[x]], attrs },
    { op: 'convolution_filter_grad', note, inputs: [wave(x), wave(y, -1, 1, 2)], outputs: [[w]], attrs },
  ]),
  ...['max', 'sum'].flatMap((kind): OperationCase[] => [
    { op: 'reduce_window', note: kind, inputs: [wave([2, 6, 5, 3])], outputs: [[[2, 3, 5, 3]]], attrs: window(kind) },
    {
      op: 'reduce_window_grad',
      note: kind,
      inputs: [wave([2, 3, 5, 3]), wave([2, 6, 5, 3], -1, 1, 2)],
      outputs: [[[2, 6, 5, 3]]],
      attrs: window(kind),
    },
  ]),
  ...[resize(false, false), resize(true, false), resize(false, true)].flatMap((attrs) =>
    (['resize_bilinear', 'resize_nearest'] as const).flatMap((op): OperationCase[] => [
      { op, note: `up ${JSON.stringify(attrs)}`, inputs: [wave([2, 4, 3, 2])], outputs: [[[2, 7, 8, 2]]], attrs },
      { op, note: `down ${JSON.stringify(attrs)}`, inputs: [wave([1, 9, 7, 2])], outputs: [[[1, 4, 3, 2]]], attrs },
    ]),
  ),
  { op: 'softmax', inputs: [rows], outputs: [[[6, 7]]] },
  { op: 'softmax_grad', inputs: [rows, wave([6, 7], 0, 1, 2)], outputs: [[[6, 7]]] },
  unary('gelu', wave([40, 3], -6, 6)),
  { op: 'gelu_grad', inputs: [wave([40, 3], -1, 1, 2), wave([40, 3], -6, 6)], outputs: [[[40, 3]]] },
  {
    op: 'layer_norm',
    inputs: [wave([2, 5, 8], 3, 5), wave([8], 0.5, 1.5, 2), wave([8], -1, 1, 3)],
    outputs: [[[2, 5, 8]], [[2, 5, 1]], [[2, 5, 1]]],
    attrs: { epsilon: 1e-6 },
  },
  {
    op: 'layer_norm_grad',
    inputs: [
      wave([2, 5, 8]),
      wave([2, 5, 8], -2, 2, 2),
      wave([8], 0.5, 1.5, 3),
      wave([2, 5, 1], -0.1, 0.1, 4),
      wave([2, 5, 1], 0.5, 2, 5),
    ],
    outputs: [[[2, 5, 8]], [[8]], [[8]]],
  },
  { op: 'attention', inputs: attentionShapes, outputs: [[[2, 3, 5, 4]]], attrs: { scale: 0.5 } },
  {
    op: 'attention',
    note: 'one query',
    inputs: [wave([2, 3, 1, 4]), ...attentionShapes.slice(1)],
    outputs: [[[2, 3, 1, 4]]],
    attrs: { scale: 0.5 },
  },
  {
    op: 'attention_grad',
    inputs: [wave([2, 3, 5, 4], -1, 1, 9), ...attentionShapes, wave([2, 3, 5, 4], -1, 1, 8)],
    outputs: attentionShapes.map(({ shape }): Out => [shape]),
    attrs: { scale: 0.5 },
  },
  ...[1, 2, 3, 8, 13].flatMap((n): OperationCase[] => [
    { op: 'cholesky', note: `${n}`, inputs: [positiveDefinite(n)], outputs: [[[n, n]]], maxRel: 1e-5 },
    {
      op: 'cholesky',
      note: `batch of ${n}`,
      inputs: [positiveDefinite(n, [2, 2])],
      outputs: [[[2, 2, n, n]]],
      maxRel: 1e-5,
    },
    ...[false, true].map((transpose): OperationCase => ({
      op: 'triangular_solve',
      note: `${n} ${transpose ? 'transposed' : 'plain'}`,
      inputs: [lowerTriangular(n, [2]), wave([2, n, 3])],
      outputs: [[[2, n, 3]]],
      attrs: { transpose },
    })),
  ]),
  {
    op: 'top_k',
    inputs: [f32([2, 5], [3, 1, 3, 7, 2, -1, -1, -5, 0, -1])],
    outputs: [[[2, 3]], [[2, 3], 'i32']],
    attrs: { k: 3 },
  },
];
