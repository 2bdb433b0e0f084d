import { SslError } from '@selfsup/core';
import type { Features } from './features.js';
import { needRows, prepareRows } from './rows.js';

/**
 * Standard deviation of each dimension of the unit rows (that of a sample: divided by rows - 1), averaged over
 * dimensions: about 1/sqrt(width) when features fill the sphere evenly, 0 when they have collapsed to a point.
 *
 * @throws SslError `SHAPE_MISMATCH`, `DATA_EMPTY`, `NON_FINITE`
 */
export function featureStd(features: Features): number {
  const where = 'eval-suite.featureStd';
  const { data, rows, width } = prepareRows(where, features, 'unit');
  const centred = prepareRows(where, { shape: [rows, width], data }, 'centred').data;
  const squares = new Float64Array(width);
  for (let i = 0; i < centred.length; i++) squares[i % width] += centred[i] * centred[i];
  return squares.reduce((sum, square) => sum + Math.sqrt(square / Math.max(1, rows - 1)), 0) / width;
}

/**
 * Mean cosine similarity over all pairs of different rows: 1 when features have collapsed, about 0 when they are spread.
 *
 * @throws SslError `SHAPE_MISMATCH` for fewer than two rows, `NON_FINITE`
 */
export function meanCosine(features: Features): number {
  const where = 'eval-suite.meanCosine';
  const { data, rows, width } = prepareRows(where, features, 'unit');
  needRows(where, rows, 2);
  const sum = new Float64Array(width);
  let own = 0;
  for (let i = 0; i < data.length; i++) {
    sum[i % width] += data[i];
    own += data[i] * data[i];
  }
  // The sum over all pairs is the square of the sum less the products of rows with themselves.
  return (sum.reduce((total, x) => total + x * x, 0) - own) / (rows * (rows - 1));
}

function squaredDistance(a: Float64Array, i: number, b: Float64Array, j: number, width: number): number {
  let total = 0;
  for (let c = 0; c < width; c++) {
    const difference = a[i * width + c] - b[j * width + c];
    total += difference * difference;
  }
  return total;
}

/**
 * Uniformity (Wang & Isola 2020): log of the mean over pairs of unit rows of exp(-t |u - v|^2). 0 when collapsed, the
 * lower the more evenly spread. Takes time for rows^2 * width / 2 products.
 *
 * @throws SslError `SHAPE_MISMATCH` for fewer than two rows, `NON_FINITE`
 */
export function uniformity(features: Features, t = 2): number {
  const where = 'eval-suite.uniformity';
  const { data, rows, width } = prepareRows(where, features, 'unit');
  needRows(where, rows, 2);
  let sum = 0;
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < i; j++) sum += Math.exp(-t * squaredDistance(data, i, data, j, width));
  }
  return Math.log(sum / ((rows * (rows - 1)) / 2));
}

/**
 * Alignment (Wang & Isola 2020): mean of |u - v|^alpha over pairs of unit rows that show the same image; 0 when views
 * agree.
 *
 * @param positives - Row i belongs to row i of `features`; the same shape.
 * @throws SslError `SHAPE_MISMATCH`, `DATA_EMPTY`, `NON_FINITE`
 */
export function alignment(features: Features, positives: Features, alpha = 2): number {
  const where = 'eval-suite.alignment';
  const a = prepareRows(where, features, 'unit');
  const b = prepareRows(where, positives, 'unit');
  if (a.rows !== b.rows || a.width !== b.width) {
    throw new SslError('SHAPE_MISMATCH', {
      where,
      expected: `positives [${a.rows}, ${a.width}]`,
      got: `[${b.rows}, ${b.width}]`,
      fix: 'pass one positive row per row of features',
    });
  }
  let sum = 0;
  for (let i = 0; i < a.rows; i++) sum += squaredDistance(a.data, i, b.data, i, a.width) ** (alpha / 2);
  return sum / a.rows;
}
