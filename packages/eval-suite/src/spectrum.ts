import type { Features } from './features.js';
import { jacobiSingularValues } from './jacobi.js';
import { type Preparation, prepareRows, type Rows } from './rows.js';

/** RankMe's constant inside the entropy. */
export const RANK_ME_EPSILON = 1e-7;

/** How many directions features use, by different measures. All are 0 for features that are all zero. */
export interface RankMeasures {
  /** exp of the entropy of the singular values, normalised to sum 1 (Roy & Vetterli 2007). */
  readonly effectiveRank: number;
  /** The same of the squared singular values: the entropy of the variance. */
  readonly effectiveRankOfSquares: number;
  /** RankMe (Garrido et al. 2023, eq. 1): like `effectiveRank`, 1e-7 added to every normalised singular value. */
  readonly rankMe: number;
  /** Sum of squares over the largest square. */
  readonly stableRank: number;
  /** Squared sum of the squares over the sum of their squares. */
  readonly participationRatio: number;
}

/** Singular values of a float64 matrix, largest first. */
export function singularValuesOf({ data, rows, width }: Rows): Float64Array {
  // Of the matrix itself: eigenvalues of the Gram matrix would lose half of the digits of small singular values.
  const columns =
    rows < width
      ? Array.from({ length: rows }, (_, r) => data.slice(r * width, (r + 1) * width))
      : Array.from({ length: width }, (_, c) => Float64Array.from({ length: rows }, (__, r) => data[r * width + c]));
  return jacobiSingularValues(columns).sort((a, b) => b - a);
}

/**
 * Singular values of features `[rows, width]` in float64, largest first, min(rows, width) of them.
 *
 * @param preparation - `centred` for the spectrum of the covariance, `unit` for features on the sphere. Default `raw`.
 * @throws SslError `SHAPE_MISMATCH`, `DATA_EMPTY`, `NON_FINITE`
 */
export function singularValues(features: Features, preparation: Preparation = 'raw'): Float64Array {
  return singularValuesOf(prepareRows('eval-suite.singularValues', features, preparation));
}

function expEntropy(weights: Float64Array, epsilon = 0): number {
  const sum = weights.reduce((total, x) => total + x, 0);
  if (sum === 0) return 0;
  let entropy = 0;
  for (const weight of weights) {
    const p = weight / sum + epsilon;
    if (p > 0) entropy -= p * Math.log(p);
  }
  return Math.exp(entropy);
}

/** Rank measures of a spectrum. */
export function rankMeasures(values: Float64Array): RankMeasures {
  const squares = values.map((x) => x * x);
  const sum = squares.reduce((total, x) => total + x, 0);
  const largest = squares.reduce((most, x) => Math.max(most, x), 0);
  const fourths = squares.reduce((total, x) => total + x * x, 0);
  return {
    effectiveRank: expEntropy(values),
    effectiveRankOfSquares: expEntropy(squares),
    rankMe: expEntropy(values, RANK_ME_EPSILON),
    stableRank: largest === 0 ? 0 : sum / largest,
    participationRatio: fourths === 0 ? 0 : (sum * sum) / fourths,
  };
}
