import type { GraphDType, Op } from './graph.js';

/** What an attribute must be: a plain type, or one of some words. */
export type AttributeKind = 'number' | 'boolean' | 'numbers' | readonly string[];

/** Checks element types; returns what was expected when they are wrong. */
type TypeRule = (inputs: readonly GraphDType[], outputs: readonly GraphDType[]) => string | undefined;

/** How an operation may be written down. */
export interface OpRow {
  /** Number of inputs; `any` is one or more. */
  readonly inputs: number | 'any';
  readonly outputs: number;
  readonly attributes: Readonly<Record<string, AttributeKind>>;
  /** Attributes that may be left out. */
  readonly optional: Readonly<Record<string, AttributeKind>>;
  readonly types: TypeRule;
}

const rule =
  (expected: string, test: (inputs: readonly GraphDType[], outputs: readonly GraphDType[]) => boolean): TypeRule =>
  (inputs, outputs) =>
    test(inputs, outputs) ? undefined : expected;

const all = (types: readonly GraphDType[], type: GraphDType): boolean => types.every((t) => t === type);

const same = rule('inputs and outputs of one type', (i, o) => all([...i, ...o], o[0]));
const number = rule('inputs and output of one type, f32 or i32', (i, o) => all([...i, ...o], o[0]) && o[0] !== 'bool');
const float = rule('f32 throughout', (i, o) => all([...i, ...o], 'f32'));
const bool = rule('bool throughout', (i, o) => all([...i, ...o], 'bool'));
const anything = rule('', () => true);

const row = (
  inputs: number | 'any',
  types: TypeRule,
  attributes: Readonly<Record<string, AttributeKind>> = {},
  outputs = 1,
  optional: Readonly<Record<string, AttributeKind>> = {},
): OpRow => ({ inputs, outputs, attributes, optional, types });

const convolution = { strides: 'numbers', dilations: 'numbers', padding: 'numbers', groups: 'number' } as const;
const window = { kind: ['max', 'sum'], window: 'numbers', strides: 'numbers', padding: 'numbers' } as const;
const resize = { alignCorners: 'boolean', halfPixelCenters: 'boolean' } as const;

/**
 * The inputs, outputs, attributes and element types of every operation. Where the names alone leave a choice:
 *
 * - `divide` of i32 truncates; `remainder` has the sign of the dividend (StableHLO); `power` of i32 is exact below 2^31
 * - `convert` f32 -> i32 truncates toward zero; anything -> bool is `!= 0`
 * - `dot_general` of precision `default` may be computed from rounded factors where the engine is told so (bfloat16);
 *   without the attribute, or `highest`, it may not
 * - `iota` counts `start + step * i`; its length is the output's
 * - `gather(x, indices)`: the indexed axis is replaced by the shape of the indices; indices must be in range
 * - `scatter_add(indices [n], updates [n, ...]) -> [rows, ...]`; indices must be in range
 * - `argmax`, `argmin`: the first of equal elements, axis removed
 * - `convolution_input_grad(dy, w)`, `convolution_filter_grad(x, dy)`: the wanted shape is the output's
 * - `convolution` with groups: w is `[h, w, C / groups, O]`, output channels group by group
 * - `reduce_window` pads with minus infinity (max) or zero (sum)
 * - `reduce_window_grad(dy, x)`: max hands dy to the first largest element of its window in row-major order
 */
export const OP_TABLE: Readonly<Record<Op, OpRow>> = {
  add: row(2, number),
  subtract: row(2, number),
  multiply: row(2, number),
  divide: row(2, number),
  maximum: row(2, number),
  minimum: row(2, number),
  power: row(2, number),
  remainder: row(2, number),
  atan2: row(2, float),
  and: row(2, bool),
  or: row(2, bool),
  xor: row(2, bool),
  compare: row(
    2,
    rule('inputs of one type, bool out', (i, o) => i[0] === i[1] && o[0] === 'bool'),
    {
      direction: ['EQ', 'NE', 'LT', 'LE', 'GT', 'GE'],
    },
  ),
  select: row(
    3,
    rule('bool, then two of the type of the output', (i, o) => i[0] === 'bool' && all(i.slice(1), o[0])),
  ),
  negate: row(1, number),
  abs: row(1, number),
  sign: row(1, number),
  exponential: row(1, float),
  exponential_minus_one: row(1, float),
  log: row(1, float),
  log_plus_one: row(1, float),
  sqrt: row(1, float),
  rsqrt: row(1, float),
  floor: row(1, float),
  ceil: row(1, float),
  round_nearest_even: row(1, float),
  erf: row(1, float),
  tanh: row(1, float),
  logistic: row(1, float),
  sine: row(1, float),
  cosine: row(1, float),
  tan: row(1, float),
  asin: row(1, float),
  acos: row(1, float),
  atan: row(1, float),
  sinh: row(1, float),
  cosh: row(1, float),
  asinh: row(1, float),
  acosh: row(1, float),
  atanh: row(1, float),
  not: row(1, bool),
  is_finite: row(
    1,
    rule('f32 in, bool out', (i, o) => i[0] === 'f32' && o[0] === 'bool'),
  ),
  convert: row(1, anything),
  reshape: row(1, same),
  broadcast_in_dim: row(1, same),
  transpose: row(1, same, { permutation: 'numbers' }),
  slice: row(1, same, { start: 'numbers', limit: 'numbers', strides: 'numbers' }),
  pad: row(1, same, { low: 'numbers', high: 'numbers', value: 'number' }),
  concatenate: row('any', same, { dimension: 'number' }),
  reverse: row(1, same, { dimensions: 'numbers' }),
  dot_general: row(2, float, { transposeA: 'boolean', transposeB: 'boolean' }, 1, {
    precision: ['highest', 'default'],
  }),
  reduce: row(1, same, {
    kind: ['sum', 'max', 'min', 'prod', 'any', 'all'],
    dimensions: 'numbers',
    keepDims: 'boolean',
  }),
  argmax: row(
    1,
    rule('i32 out', (_, o) => o[0] === 'i32'),
    { dimension: 'number' },
  ),
  argmin: row(
    1,
    rule('i32 out', (_, o) => o[0] === 'i32'),
    { dimension: 'number' },
  ),
  cumsum: row(1, number, { dimension: 'number', exclusive: 'boolean', reverse: 'boolean' }),
  iota: row(0, number, { start: 'number', step: 'number' }),
  gather: row(
    2,
    rule('indices of i32, output of the type of x', (i, o) => i[1] === 'i32' && i[0] === o[0]),
    {
      dimension: 'number',
    },
  ),
  scatter_add: row(
    2,
    rule('indices of i32, output of the type of the updates', (i, o) => i[0] === 'i32' && i[1] === o[0]),
    {
      rows: 'number',
    },
  ),
  one_hot: row(
    1,
    rule('indices of i32', (i) => i[0] === 'i32'),
    { depth: 'number', on: 'number', off: 'number' },
  ),
  convolution: row(2, float, convolution),
  convolution_input_grad: row(2, float, convolution),
  convolution_filter_grad: row(2, float, convolution),
  reduce_window: row(1, float, window),
  reduce_window_grad: row(2, float, window),
  resize_bilinear: row(1, float, resize),
  resize_nearest: row(1, float, resize),
  softmax: row(1, float),
  softmax_grad: row(2, float),
  gelu: row(1, float),
  gelu_grad: row(2, float),
  layer_norm: row(3, float, { epsilon: 'number' }, 3),
  layer_norm_grad: row(5, float, {}, 3),
  attention: row(3, float, { scale: 'number' }),
  attention_grad: row(5, float, { scale: 'number' }, 3),
  cholesky: row(1, float),
  triangular_solve: row(2, float, { transpose: 'boolean' }),
  top_k: row(
    1,
    rule('values of the type of x, indices of i32', (i, o) => i[0] === o[0] && o[1] === 'i32'),
    { k: 'number' },
    2,
  ),
};
