import { SslError } from '@selfsup/core';
import { type Features, featureSizes, firstNonFinite, nonFiniteFeature } from './features.js';

/** A matrix of float64 numbers, row-major. */
export interface Rows {
  readonly data: Float64Array;
  readonly rows: number;
  readonly width: number;
}

/**
 * What is done to features before they are measured: nothing, the mean row taken off, or every row brought to unit
 * length (a row of zeros stays one).
 */
export type Preparation = 'raw' | 'centred' | 'unit';

/** A float64 copy of features, prepared. Rows that are all the same become exact zeros when centred. */
export function prepareRows(where: string, features: Features, preparation: Preparation): Rows {
  const { rows, width } = featureSizes(where, 'features', features);
  const bad = firstNonFinite(features.data, 0, features.data.length);
  if (bad >= 0) throw nonFiniteFeature(where, 'features', Math.floor(bad / width), features.data[bad]);
  const data = Float64Array.from(features.data);
  if (preparation === 'centred') centre(data, rows, width);
  if (preparation === 'unit') toUnitRows(data, width);
  return { data, rows, width };
}

function centre(data: Float64Array, rows: number, width: number): void {
  for (let column = 0; column < width; column++) {
    // Measured from the first row, so that the mean of equal numbers leaves no rounding behind.
    const first = data[column];
    let sum = 0;
    for (let i = column; i < data.length; i += width) sum += data[i] - first;
    const mean = sum / rows;
    for (let i = column; i < data.length; i += width) data[i] = data[i] - first - mean;
  }
}

function toUnitRows(data: Float64Array, width: number): void {
  for (let start = 0; start < data.length; start += width) {
    const row = data.subarray(start, start + width);
    let squares = 0;
    for (const x of row) squares += x * x;
    const norm = Math.sqrt(squares);
    if (norm > 0) for (let i = 0; i < width; i++) row[i] /= norm;
  }
}

/** Refuses features of fewer rows than a measure needs. @throws SslError `SHAPE_MISMATCH` */
export function needRows(where: string, rows: number, least: number): void {
  if (rows >= least) return;
  throw new SslError('SHAPE_MISMATCH', {
    where,
    expected: `features of at least ${least} images`,
    got: String(rows),
    fix: 'pass more rows',
  });
}
