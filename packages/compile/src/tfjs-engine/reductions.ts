import { flagOf, numberOf, numbersOf, wordOf } from '../graph/attributes.js';
import type { Rule } from './rule.js';
import { broadcastTo, reshape } from './shape.js';
import { sameShape, sizeOf } from '@selfsup/core';

/** Kernel and the name it gives to its axes. */
const REDUCTIONS: Readonly<Record<string, readonly [kernel: string, axes: string]>> = {
  sum: ['Sum', 'axis'],
  prod: ['Prod', 'axis'],
  max: ['Max', 'reductionIndices'],
  min: ['Min', 'axis'],
  any: ['Any', 'axis'],
  all: ['All', 'axis'],
};

const arg =
  (kernel: string): Rule =>
  ({ kernels, inputs: [x], attrs }) =>
    kernels.run(kernel, { x }, { axis: numberOf(attrs, 'dimension') });

/** The batch dimensions of the kernels broadcast only a single matrix, so others are broadcast here. */
const dotGeneral: Rule = ({ kernels: k, inputs: [a, b], attrs, outputs: [y] }) => {
  const transposeA = flagOf(attrs, 'transposeA');
  const transposeB = flagOf(attrs, 'transposeB');
  const batch = y.shape.slice(0, -2);
  const matrix = (x: typeof a): number[] => x.shape.slice(-2);
  const product = (x: typeof a, w: typeof b): typeof a =>
    k.run('BatchMatMul', { a: x, b: w }, { transposeA, transposeB });
  if (!transposeA && sizeOf(b.shape.slice(0, -2)) === 1) {
    const [, inner] = matrix(a);
    const rows = reshape(k, a, [1, a.size / inner, inner]);
    return reshape(k, product(rows, reshape(k, b, [1, ...matrix(b)])), y.shape);
  }
  const whole = (x: typeof a): typeof a => {
    const full = sameShape(x.shape.slice(0, -2), batch) ? x : broadcastTo(k, x, [...batch, ...matrix(x)]);
    return reshape(k, full, [sizeOf(batch), ...matrix(x)]);
  };
  return reshape(k, product(whole(a), whole(b)), y.shape);
};

/** Operations that run along axes, and the matrix product. */
export const REDUCTION = {
  reduce: ({ kernels: k, inputs: [x], attrs }) => {
    const dimensions = numbersOf(attrs, 'dimensions');
    if (dimensions.length === 0) return k.run('Identity', { x });
    const [kernel, axes] = REDUCTIONS[wordOf(attrs, 'kind')];
    return k.run(kernel, { x }, { [axes]: [...dimensions], keepDims: flagOf(attrs, 'keepDims') });
  },
  argmax: arg('ArgMax'),
  argmin: arg('ArgMin'),
  cumsum: ({ kernels, inputs: [x], attrs }) =>
    kernels.run(
      'Cumsum',
      { x },
      {
        axis: numberOf(attrs, 'dimension'),
        exclusive: flagOf(attrs, 'exclusive'),
        reverse: flagOf(attrs, 'reverse'),
      },
    ),
  dot_general: dotGeneral,
  softmax: ({ kernels, inputs: [logits] }) => kernels.run('Softmax', { logits }, { dim: logits.rank - 1 }),
  top_k: ({ kernels, inputs: [x], attrs }) => kernels.runAll('TopK', { x }, { k: numberOf(attrs, 'k'), sorted: true }),
} satisfies Readonly<Record<string, Rule>>;
