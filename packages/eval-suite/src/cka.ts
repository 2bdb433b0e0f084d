import { SslError } from '@selfsup/core';
import type { Features } from './features.js';
import { needRows, prepareRows, type Rows } from './rows.js';

/** `biased`: Kornblith et al. 2019; `unbiased`: the HSIC estimate of Song et al. 2012, as Nguyen et al. 2021 use it. */
export type CkaEstimate = 'biased' | 'unbiased';

/** Sum of squares of a^T b over rows. */
function crossSquares(a: Rows, b: Rows): number {
  const product = new Float64Array(a.width * b.width);
  for (let row = 0; row < a.rows; row++) {
    for (let i = 0; i < a.width; i++) {
      const x = a.data[row * a.width + i];
      for (let j = 0; j < b.width; j++) product[i * b.width + j] += x * b.data[row * b.width + j];
    }
  }
  return product.reduce((sum, x) => sum + x * x, 0);
}

/** Row sums and total of the Gram matrix without its diagonal, and that diagonal. */
function gramSums({ data, rows, width }: Rows): { own: Float64Array; others: Float64Array; total: number } {
  const sum = new Float64Array(width);
  for (let i = 0; i < data.length; i++) sum[i % width] += data[i];
  const own = new Float64Array(rows);
  const others = new Float64Array(rows);
  let total = 0;
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < width; c++) {
      const x = data[row * width + c];
      own[row] += x * x;
      others[row] += x * sum[c];
    }
    others[row] -= own[row];
    total += others[row];
  }
  return { own, others, total };
}

/** HSIC_1 up to the factor 1/(n (n - 3)), which CKA does not see. */
function unbiasedHsic(a: Rows, b: Rows): number {
  const n = a.rows;
  const [x, y] = [gramSums(a), gramSums(b)];
  let trace = crossSquares(a, b);
  let joint = 0;
  for (let i = 0; i < n; i++) {
    trace -= x.own[i] * y.own[i];
    joint += x.others[i] * y.others[i];
  }
  return trace + (x.total * y.total) / ((n - 1) * (n - 2)) - (2 * joint) / (n - 2);
}

/**
 * Linear centred kernel alignment of two sets of features of the same images: 1 when one is a rotation and scaling of
 * the other, about 0 when they have nothing in common. 0 when either has collapsed. The unbiased estimate can be a
 * little below 0.
 *
 * @param first - `[rows, width]`
 * @param second - `[rows, any width]`, the same images in the same order
 * @throws SslError `SHAPE_MISMATCH` for different numbers of rows or fewer than 4 (biased: 2), `NON_FINITE`
 */
export function linearCka(first: Features, second: Features, estimate: CkaEstimate = 'biased'): number {
  const where = 'eval-suite.linearCka';
  const a = prepareRows(where, first, 'centred');
  const b = prepareRows(where, second, 'centred');
  if (a.rows !== b.rows) {
    throw new SslError('SHAPE_MISMATCH', {
      where,
      expected: `${a.rows} rows in both`,
      got: String(b.rows),
      fix: 'pass features of the same images in the same order',
    });
  }
  needRows(where, a.rows, estimate === 'unbiased' ? 4 : 2);
  const measure = estimate === 'unbiased' ? unbiasedHsic : crossSquares;
  const scale = measure(a, a) * measure(b, b);
  return scale > 0 ? measure(a, b) / Math.sqrt(scale) : 0;
}
