import { formatShape, SslError } from '@selfsup/core';

/** Frozen features, one row per image: `[rows, width]`, row-major. A `HostTensor` is one. */
export interface Features {
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array | Int32Array | Uint8Array;
}

/** Checked sizes of {@link Features}. */
export interface FeatureSizes {
  readonly rows: number;
  readonly width: number;
}

/**
 * Number of rows and width of features.
 *
 * @throws SslError `SHAPE_MISMATCH` when they are not `[rows, width]`, `DATA_EMPTY` when there is no row
 */
export function featureSizes(where: string, name: string, features: Features): FeatureSizes {
  const [rows, width] = features.shape;
  if (features.shape.length !== 2 || features.data.length !== rows * width || width === 0) {
    throw new SslError('SHAPE_MISMATCH', {
      where,
      expected: `${name} [rows, width] with rows * width numbers`,
      got: `shape ${formatShape(features.shape)} with ${features.data.length} numbers`,
      fix: `pass ${name} as one row per image`,
    });
  }
  if (rows === 0) {
    throw new SslError('DATA_EMPTY', {
      where,
      expected: `${name} of at least one image`,
      got: 'none',
      fix: 'check the data folder and its split',
    });
  }
  return { rows, width };
}

/** The error for a feature that is NaN or infinite. */
export function nonFiniteFeature(where: string, name: string, row: number, value: number): SslError {
  return new SslError('NON_FINITE', {
    where,
    expected: `finite ${name}`,
    got: `${value} in row ${row}`,
    fix: 'evaluate an earlier checkpoint, this model has diverged',
    details: { row },
  });
}

/** Index of the first number of a row range that is not finite; -1 if all are. */
export function firstNonFinite(data: ArrayLike<number>, from: number, to: number): number {
  for (let i = from; i < to; i++) if (!Number.isFinite(data[i])) return i;
  return -1;
}
