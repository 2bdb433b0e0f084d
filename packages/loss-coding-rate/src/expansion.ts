import { checkShape } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { codingRate, codingRateGradient } from './coding-rate.js';
import { type CovarianceScope, setsOf, splitGroups } from './groups.js';
import { alphaFor, checkEps, CODING_RATE_EPS, gammaFor, type GammaRule, type NumberOrScalar } from './strength.js';

/** Features whose coding rate is expanded: the student's, or the mean of student and teacher of the same view. */
export type ExpansionFeatures = 'student' | 'mean-with-teacher';

/** How the coding rate is taken; the defaults are those of the published SimDINO command on one process. */
export interface ExpansionOptions {
  /** eps of the coding rate, greater than 0; {@link CODING_RATE_EPS} by default. */
  readonly codingRateEps?: NumberOrScalar;
  /** Virtual processes: contiguous ranges of images with a coding rate of their own, averaged; 1 by default. */
  readonly groups?: number;
  /** `per-group` by default; `all-groups` is the authors' reduced covariance. */
  readonly covariance?: CovarianceScope;
  /** `code` by default. */
  readonly gamma?: GammaRule;
  /** Batch size n that alpha and gamma are taken from; that of the features by default. Say it for a micro-batch. */
  readonly referenceBatch?: number;
}

/** Features split into the sets that each have a coding rate, and the weights that belong to them. */
interface Arranged {
  readonly sets: tf.Tensor4D;
  readonly alpha: NumberOrScalar;
  readonly gamma: NumberOrScalar;
}

function arrange(
  where: string,
  features: tf.Tensor,
  {
    codingRateEps = CODING_RATE_EPS,
    groups = 1,
    covariance = 'per-group',
    gamma = 'code',
    referenceBatch,
  }: ExpansionOptions,
): Arranged {
  const { B, d } = checkShape(`loss-coding-rate.${where}`, 'features', features, ['V', 'B', 'd']);
  checkEps(where, codingRateEps);
  const sets = setsOf(where, B, groups, covariance);
  const n = referenceBatch ?? B;
  return {
    sets: splitGroups(features, sets),
    alpha: alphaFor(n, d, codingRateEps),
    gamma: gammaFor(n, d, codingRateEps, gamma),
  };
}

/**
 * Expansion term of SimDINO: gamma times the coding rate, averaged over views and groups (spec 3.6: E). It is what
 * keeps features from collapsing; at least 0, at most `maxExpansion` for rows no longer than 1.
 *
 * @param features - `[V, B, d]`, float32, rows of unit length or shorter; views are the global crops.
 * @returns a scalar
 * @throws SslError `SHAPE_MISMATCH`, `BAD_OPTION`
 */
export function expansion(features: tf.Tensor, options: ExpansionOptions = {}): tf.Scalar {
  return tf.tidy(() => {
    const { sets, alpha, gamma } = arrange('expansion', features, options);
    return tf.mul(tf.mean(codingRate(sets, { alpha })), gamma) as tf.Scalar;
  });
}

/**
 * Gradient of {@link expansion} with respect to its features, gamma alpha F (I + alpha FT F)^-1 / (views * groups), as
 * values. Exact gradient accumulation rests on it: collect the features of all micro-batches in a first pass, take this
 * gradient of the whole, and give each micro-batch its rows of it in a second pass (loss = sum(gradient * features)).
 *
 * @param features - `[V, B, d]`, float32: what {@link expansionFeatures} gives for the whole batch.
 * @returns `[V, B, d]`, float32; not differentiable
 * @throws SslError `SHAPE_MISMATCH`, `BAD_OPTION`
 */
export function expansionGradient(features: tf.Tensor, options: ExpansionOptions = {}): tf.Tensor3D {
  return tf.tidy(() => {
    const { sets, alpha, gamma } = arrange('expansionGradient', features, options);
    const weight = tf.div(gamma, sets.shape[0] * sets.shape[1]);
    return tf.reshape<tf.Rank.R3>(
      tf.mul(codingRateGradient(sets, { alpha }), weight),
      features.shape as [number, number, number],
    );
  });
}
