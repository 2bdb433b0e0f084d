import { SslError } from '@selfsup/core';
import { type CovarianceScope, setsOf } from './groups.js';
import { alphaOf, CODING_RATE_EPS, gammaOf, type GammaRule } from './strength.js';

/** The numbers that bound the expansion term. */
export interface BudgetSetting {
  /** Images of the whole batch, over all groups. */
  readonly batchSize: number;
  /** Width of the features. */
  readonly width: number;
  /** Virtual processes; 1 by default. */
  readonly groups?: number;
  /** eps of the coding rate, greater than 0; the published 0.05 by default. */
  readonly codingRateEps?: number;
  /** `per-group` by default. */
  readonly covariance?: CovarianceScope;
  /** `code` by default. */
  readonly gamma?: GammaRule;
}

/** What {@link collapseBudget} gives. */
export interface CollapseBudget {
  readonly alpha: number;
  readonly gamma: number;
  /** Expansion of orthonormal features, its largest value. */
  readonly maximum: number;
  /** Expansion of features that are all the same. */
  readonly collapsed: number;
  /** maximum - collapsed: all that spread features can win. */
  readonly gap: number;
}

/**
 * Largest expansion of features no longer than 1, reached by orthonormal ones: gamma k / 2 log(1 + alpha m / k) with m
 * rows to a set and k = min(m, d) (spec 3.8: E_max).
 *
 * @throws SslError `BAD_OPTION`
 */
export function maxExpansion(setting: BudgetSetting): number {
  const { alpha, gamma, rows } = weightsOf('maxExpansion', setting);
  const k = Math.min(rows, setting.width);
  return ((gamma * k) / 2) * Math.log1p((alpha * rows) / k);
}

/**
 * Expansion of unit features that are all the same: gamma / 2 log(1 + alpha m) (spec 3.8: E_col).
 *
 * @throws SslError `BAD_OPTION`
 */
export function collapsedExpansion(setting: BudgetSetting): number {
  const { alpha, gamma, rows } = weightsOf('collapsedExpansion', setting);
  return (gamma / 2) * Math.log1p(alpha * rows);
}

/**
 * What spreading out can win over collapsing. Collapse has compression 1, so it scores as well as spread features of
 * compression A as soon as gap < compressionWeight (1 - A): with a small gap it is the optimum (spec 3.8).
 *
 * @throws SslError `BAD_OPTION` for a size that is not a positive integer, groups that do not divide the batch, an eps
 *   that is not positive
 *
 * @example
 * const { gap } = collapseBudget({ batchSize: 512, groups: 8, width: 256, codingRateEps: 0.05 }); // 0.431
 */
export function collapseBudget(setting: BudgetSetting): CollapseBudget {
  const { alpha, gamma } = weightsOf('collapseBudget', setting);
  const maximum = maxExpansion(setting);
  const collapsed = collapsedExpansion(setting);
  return { alpha, gamma, maximum, collapsed, gap: maximum - collapsed };
}

function weightsOf(
  where: string,
  {
    batchSize,
    width,
    groups = 1,
    codingRateEps = CODING_RATE_EPS,
    covariance = 'per-group',
    gamma = 'code',
  }: BudgetSetting,
): { alpha: number; gamma: number; rows: number } {
  for (const [name, size] of Object.entries({ batchSize, width })) {
    if (Number.isInteger(size) && size > 0) continue;
    throw new SslError('BAD_OPTION', {
      where: `loss-coding-rate.${where}`,
      expected: `${name} to be a positive integer`,
      got: `${size}`,
      fix: `pass a whole number above 0 as ${name}`,
      details: { [name]: size },
    });
  }
  const strength = { batchSize, width, codingRateEps };
  return {
    alpha: alphaOf(strength),
    gamma: gammaOf(strength, gamma),
    rows: batchSize / setsOf(where, batchSize, groups, covariance),
  };
}
