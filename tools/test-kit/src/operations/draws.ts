import type { Op } from '@selfsup/compile';
import { sizeOf } from '@selfsup/core';
import fc from 'fast-check';
import {
  anyDtype,
  broadcastPair,
  dtypes,
  fewValues,
  integer,
  moving,
  numeric,
  pairwise,
  perDimension,
  seed,
  shape,
  unary,
  values,
  withAxis,
  type Draw,
  type Shape,
} from './draw.js';
import { COMPOSITE_DRAWS } from './draws-composites.js';
import { CONVOLUTION_DRAWS } from './draws-windows.js';
import { bool, f32, i32, lowerTriangular, positiveDefinite, steps, wave } from './operands.js';

const without = (s: Shape, axis: number): number[] => s.filter((_, i) => i !== axis);
const reduced = (s: Shape, dimensions: Shape, keepDims: boolean): number[] =>
  s.flatMap((d, i) => (dimensions.includes(i) ? (keepDims ? [1] : []) : [d]));
const booleans = (s: Shape, from: number) => values('bool', s, 0, 1, from);

/** Numbers of some type through the same element-wise operation. */
const unaryNumber = (op: Op): Draw =>
  fc
    .tuple(shape(), dtypes('f32', 'i32'), seed)
    .map(([s, dtype, from]) => ({ op, inputs: [values(dtype, s, -5, 5, from)], outputs: [[s, dtype]] }));

const compare: Draw = fc
  .tuple(broadcastPair, anyDtype, fc.constantFrom('EQ', 'NE', 'LT', 'LE', 'GT', 'GE'), seed)
  .map(([[full, small], dtype, direction, from]) => ({
    op: 'compare',
    inputs: [fewValues(dtype, full, from), fewValues(dtype, small, from + 1)],
    outputs: [[full, 'bool']],
    attrs: { direction },
  }));

const select: Draw = fc
  .tuple(broadcastPair, anyDtype, integer(0, 2), seed)
  .map(([[full, small], dtype, which, from]) => {
    const shapes = [full, full, full].map((s, i) => (i === which ? small : s));
    const [a, b] = [1, 2].map((i) => values(dtype, shapes[i], -9, 9, from + i));
    return { op: 'select', inputs: [booleans(shapes[0], from), a, b], outputs: [[full, dtype]], maxRel: 0 };
  });

const power: Draw = fc.tuple(broadcastPair, dtypes('f32', 'i32'), seed).map(([[full, small], dtype, from]) => ({
  op: 'power',
  inputs:
    dtype === 'f32'
      ? [wave(full, 0.2, 3, from), wave(small, -2, 2, from + 1)]
      : [i32(full, steps(full, -3, 3, from)), i32(small, steps(small, 0, 5, from + 1))],
  outputs: [[full, dtype]],
}));

const convert: Draw = fc.tuple(shape(), anyDtype, anyDtype, seed).map(([s, from, to, start]) => ({
  op: 'convert',
  inputs: [values(from, s, -3, 3, start)],
  outputs: [[s, to]],
}));

const reshape = shape({ max: 4 }).chain((s) =>
  fc.constantFrom<Shape>([sizeOf(s)], [1, ...s], [...s, 1], [...s].reverse()).map((out) => [s, out] as const),
);

const transpose = shape({ min: 1 }).chain((s) =>
  fc
    .shuffledSubarray([...s.keys()], { minLength: s.length })
    .map((permutation) => [s, permutation.map((p) => s[p]), { permutation }] as const),
);

const slice = shape({ min: 1 }).chain((s) =>
  fc
    .tuple(perDimension(s, 0, 1000), perDimension(s, 0, 1000), perDimension(s, 1, 3))
    .map(([first, length, strides]) => {
      const start = s.map((d, i) => first[i] % d);
      const limit = s.map((d, i) => start[i] + 1 + (length[i] % (d - start[i])));
      const out = s.map((_, i) => Math.ceil((limit[i] - start[i]) / strides[i]));
      return [s, out, { start, limit, strides }] as const;
    }),
);

const pad = shape({ min: 1 }).chain((s) =>
  fc
    .tuple(perDimension(s, 0, 2), perDimension(s, 0, 2), fc.constantFrom(0, 1))
    .map(([low, high, value]) => [s, s.map((d, i) => d + low[i] + high[i]), { low, high, value }] as const),
);

const reverse = shape({ min: 1 }).chain((s) =>
  fc.subarray([...s.keys()]).map((dimensions) => [s, s, { dimensions }] as const),
);

const concatenate: Draw = fc
  .tuple(withAxis, fc.array(integer(1, 4), { minLength: 1, maxLength: 3 }), anyDtype, seed)
  .map(([[s, axis], lengths, dtype, from]) => {
    const of = (length: number): number[] => s.map((d, i) => (i === axis ? length : d));
    return {
      op: 'concatenate',
      inputs: lengths.map((length, i) => values(dtype, of(length), -9, 9, from + i)),
      outputs: [[of(lengths.reduce((sum, n) => sum + n, 0)), dtype]],
      attrs: { dimension: axis },
      maxRel: 0,
    };
  });

/** Batch dimensions of two factors of a product, and of the product. */
const batches = fc.constantFrom<readonly [Shape, Shape, Shape]>(
  [[], [], []],
  [[2], [2], [2]],
  [
    [3, 2],
    [3, 2],
    [3, 2],
  ],
  [[3, 1], [2], [3, 2]],
  [[], [2], [2]],
  [[2], [], [2]],
  [
    [2, 3],
    [1, 1],
    [2, 3],
  ],
);

const dotGeneral: Draw = fc
  .tuple(batches, integer(1, 9), integer(1, 40), integer(1, 9), fc.boolean(), fc.boolean(), seed)
  .map(([[left, right, both], m, k, n, transposeA, transposeB, from]) => ({
    op: 'dot_general',
    inputs: [
      wave([...left, ...(transposeA ? [k, m] : [m, k])], -1, 1, from),
      wave([...right, ...(transposeB ? [n, k] : [k, n])], -1, 1, from + 1),
    ],
    outputs: [[[...both, m, n]]],
    attrs: { transposeA, transposeB },
    maxRel: 3e-6,
  }));

const reduce: Draw = shape()
  .chain((s) => fc.tuple(fc.constant(s), fc.subarray([...s.keys()]), anyDtype, integer(0, 3), fc.boolean(), seed))
  .map(([s, dimensions, dtype, which, keepDims, from]) => {
    const kinds = dtype === 'bool' ? ['any', 'all', 'max', 'min'] : ['sum', 'max', 'min', 'prod'];
    const kind = kinds[which % kinds.length];
    return {
      op: 'reduce',
      inputs: [dtype === 'f32' ? wave(s, 0.5, 1.5, from) : values(dtype, s, -1, 2, from)],
      outputs: [[reduced(s, dimensions, keepDims), dtype]],
      attrs: { kind, dimensions, keepDims },
      maxRel: 1e-5,
    };
  });

const arg = (op: Op): Draw =>
  fc.tuple(withAxis, dtypes('f32', 'i32'), seed).map(([[s, dimension], dtype, from]) => ({
    op,
    inputs: [fewValues(dtype, s, from)],
    outputs: [[without(s, dimension), 'i32']],
    attrs: { dimension },
  }));

const cumsum: Draw = fc
  .tuple(withAxis, dtypes('f32', 'i32'), fc.boolean(), fc.boolean(), seed)
  .map(([[s, dimension], dtype, exclusive, backward, from]) => ({
    op: 'cumsum',
    inputs: [values(dtype, s, -5, 5, from)],
    outputs: [[s, dtype]],
    attrs: { dimension, exclusive, reverse: backward },
    maxRel: 5e-6,
  }));

const iota: Draw = fc
  .tuple(integer(1, 50), dtypes('f32', 'i32'), integer(-9, 9), integer(-3, 3))
  .map(([n, dtype, start, step]) => ({
    op: 'iota',
    inputs: [],
    outputs: [[[n], dtype]],
    attrs: dtype === 'i32' ? { start, step } : { start: start / 4, step: step / 7 },
  }));

const gather: Draw = fc
  .tuple(withAxis, shape({ max: 2 }), anyDtype, seed)
  .map(([[s, dimension], indices, dtype, from]) => ({
    op: 'gather',
    inputs: [values(dtype, s, -9, 9, from), i32(indices, steps(indices, 0, s[dimension] - 1, from + 1))],
    outputs: [[[...s.slice(0, dimension), ...indices, ...s.slice(dimension + 1)], dtype]],
    attrs: { dimension },
    maxRel: 0,
  }));

const scatterAdd: Draw = fc
  .tuple(integer(1, 9), integer(1, 6), shape({ max: 2 }), dtypes('f32', 'i32'), seed)
  .map(([n, rows, rest, dtype, from]) => ({
    op: 'scatter_add',
    inputs: [i32([n], steps([n], 0, rows - 1, from)), values(dtype, [n, ...rest], -5, 5, from + 1)],
    outputs: [[[rows, ...rest], dtype]],
    attrs: { rows },
  }));

const oneHot: Draw = fc
  .tuple(shape({ max: 3 }), integer(1, 6), dtypes('f32', 'i32'), seed)
  .map(([s, depth, dtype, from]) => ({
    op: 'one_hot',
    inputs: [i32(s, steps(s, -1, depth, from))],
    outputs: [[[...s, depth], dtype]],
    attrs: { depth, on: 3, off: -1 },
  }));

const cholesky: Draw = fc.tuple(integer(1, 20), shape({ max: 2 }), seed).map(([n, batch, from]) => ({
  op: 'cholesky',
  inputs: [positiveDefinite(n, batch, from)],
  outputs: [[[...batch, n, n]]],
  maxRel: 1e-5,
}));

const triangularSolve: Draw = fc
  .tuple(integer(1, 20), integer(1, 6), shape({ max: 2 }), fc.boolean(), seed)
  .map(([n, m, batch, transposed, from]) => ({
    op: 'triangular_solve',
    inputs: [lowerTriangular(n, batch, from), wave([...batch, n, m], -1, 1, from + 1)],
    outputs: [[[...batch, n, m]]],
    attrs: { transpose: transposed },
    maxRel: 1e-5,
  }));

const topK: Draw = shape({ min: 1 })
  .chain((s) => fc.tuple(fc.constant(s), integer(1, s[s.length - 1]), dtypes('f32', 'i32'), seed))
  .map(([s, k, dtype, from]) => {
    const out = [...s.slice(0, -1), k];
    return {
      op: 'top_k',
      inputs: [fewValues(dtype, s, from)],
      outputs: [
        [out, dtype],
        [out, 'i32'],
      ],
      attrs: { k },
      maxRel: 0,
    };
  });

const finite: Draw = shape({ min: 1 }).map((s) => {
  const specials = [0, 1, NaN, Infinity, -Infinity, 3e38];
  return {
    op: 'is_finite',
    inputs: [
      f32(
        s,
        Array.from({ length: sizeOf(s) }, (_, i) => specials[i % 6]),
      ),
    ],
    outputs: [[s, 'bool']],
  };
});

const not: Draw = fc
  .tuple(shape(), seed)
  .map(([s, from]) => ({ op: 'not', inputs: [bool(s, steps(s, 0, 1, from))], outputs: [[s, 'bool']] }));

/** Random cases of every operation. */
export const OPERATION_DRAWS: Readonly<Record<Op, Draw>> = {
  add: numeric('add'),
  subtract: numeric('subtract'),
  multiply: numeric('multiply'),
  divide: numeric('divide'),
  maximum: numeric('maximum'),
  minimum: numeric('minimum'),
  power,
  remainder: numeric('remainder'),
  atan2: pairwise('atan2', (s, from) => wave(s, -2, 2, from)),
  and: pairwise('and', booleans),
  or: pairwise('or', booleans),
  xor: pairwise('xor', booleans),
  compare,
  select,
  negate: unaryNumber('negate'),
  abs: unaryNumber('abs'),
  sign: unaryNumber('sign'),
  exponential: unary('exponential', -5, 5),
  exponential_minus_one: unary('exponential_minus_one', -2, 2),
  log: unary('log', 0.1, 9),
  log_plus_one: unary('log_plus_one', -0.5, 3),
  sqrt: unary('sqrt', 0, 9),
  rsqrt: unary('rsqrt', 0.1, 9),
  floor: unary('floor', -5, 5, 0),
  ceil: unary('ceil', -5, 5, 0),
  round_nearest_even: unary('round_nearest_even', -5, 5, 0),
  erf: unary('erf', -5, 5),
  tanh: unary('tanh', -5, 5),
  logistic: unary('logistic', -9, 9),
  sine: unary('sine', -9, 9),
  cosine: unary('cosine', -9, 9),
  tan: unary('tan', -1.4, 1.4),
  asin: unary('asin', -1, 1),
  acos: unary('acos', -1, 1),
  atan: unary('atan', -9, 9),
  sinh: unary('sinh', -4, 4),
  cosh: unary('cosh', -4, 4),
  asinh: unary('asinh', -9, 9),
  acosh: unary('acosh', 1.01, 9),
  atanh: unary('atanh', -0.95, 0.95),
  not,
  is_finite: finite,
  convert,
  reshape: moving('reshape', reshape),
  broadcast_in_dim: moving(
    'broadcast_in_dim',
    broadcastPair.map(([full, small]) => [small, full] as const),
  ),
  transpose: moving('transpose', transpose),
  slice: moving('slice', slice),
  pad: moving('pad', pad),
  concatenate,
  reverse: moving('reverse', reverse),
  dot_general: dotGeneral,
  reduce,
  argmax: arg('argmax'),
  argmin: arg('argmin'),
  cumsum,
  iota,
  gather,
  scatter_add: scatterAdd,
  one_hot: oneHot,
  ...CONVOLUTION_DRAWS,
  ...COMPOSITE_DRAWS,
  cholesky,
  triangular_solve: triangularSolve,
  top_k: topK,
};
