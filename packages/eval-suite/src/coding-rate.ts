import { SslError } from '@selfsup/core';
import type { Features } from './features.js';
import { prepareRows } from './rows.js';
import { singularValuesOf } from './spectrum.js';

/** The coding rate of features, with the constants SimDINO's code weights it by. */
export interface CodingRate {
  /** 1/2 log det(I + alpha U^T U) of the unit rows U, in nats. */
  readonly rate: number;
  /** width / (rows * epsilon) */
  readonly alpha: number;
  /** 1/rows + 1/width: what SimDINO's code multiplies the rate by. */
  readonly gamma: number;
  /** gamma * rate: the expansion term of the SimDINO loss. */
  readonly expansion: number;
}

/**
 * Coding rate of the unit rows of features, in float64 on the host: a diagnostic, not a loss. It lies between
 * 1/2 ln(1 + width/epsilon) (collapsed) and, with m = min(rows, width), m/2 ln(1 + rows * alpha / m) (spread evenly).
 *
 * @param epsilon - As SimDINO's code has it: the square of the paper's epsilon.
 * @throws SslError `BAD_OPTION` for epsilon <= 0, `SHAPE_MISMATCH`, `DATA_EMPTY`, `NON_FINITE`
 */
export function codingRateOf(features: Features, epsilon: number): CodingRate {
  const where = 'eval-suite.codingRateOf';
  if (!(epsilon > 0 && Number.isFinite(epsilon))) {
    throw new SslError('BAD_OPTION', { where, expected: 'epsilon above 0', got: String(epsilon), fix: 'pass 0.5' });
  }
  const unit = prepareRows(where, features, 'unit');
  const alpha = unit.width / (unit.rows * epsilon);
  const gamma = 1 / unit.rows + 1 / unit.width;
  let rate = 0;
  for (const value of singularValuesOf(unit)) rate += Math.log1p(alpha * value * value) / 2;
  return { rate, alpha, gamma, expansion: gamma * rate };
}
