import { checkShape, SslError } from '@selfsup/core';
import { cholesky, transposeLast, triangularSolve, withGradient } from '@selfsup/ops';
import * as tf from '@tensorflow/tfjs-core';
import type { NumberOrScalar } from './strength.js';

/** Options of {@link codingRate}. */
export interface CodingRateOptions {
  /** Weight of the covariance, at least 0; d / (n eps) in SimDINO. No gradient flows to it. */
  readonly alpha: NumberOrScalar;
}

/**
 * Coding rate of features: 1/2 log det(I + alpha FT F), the number of nats needed to code them up to a distortion
 * (Ma et al., 2007; Yu et al., 2020, eq. 1). The second moment FT F is neither centred nor divided by B. Computed on the
 * smaller of the two Gram matrices, FT F or F FT, which give the same value.
 *
 * Between 0 (all features zero) and, for unit rows, k/2 log(1 + alpha B / k) with k = min(B, d), which orthonormal
 * features reach; identical unit rows give 1/2 log(1 + alpha B).
 *
 * In float32 features that are nearly the same lose digits as alpha B grows, since the identity drowns in alpha F FT: the
 * rate is good to about 2e-4 of itself up to alpha B = 1e5 and to 1e-3 at 1e6 (published runs stay below d / eps = 5120),
 * beyond it is off by percents before the matrix stops being positive definite. A NaN means that, or features that are
 * not finite.
 *
 * @param features - `[..., B, d]`, float32; leading dimensions are separate sets of features.
 * @returns `[...]`, float32, nats
 * @throws SslError `SHAPE_MISMATCH`; `BAD_OPTION` for a negative alpha
 *
 * @example
 * const rate = codingRate(features, { alpha: alphaOf({ batchSize: 64, width: 256 }) });
 */
export function codingRate(features: tf.Tensor, { alpha }: CodingRateOptions): tf.Tensor {
  checkInputs('codingRate', features, alpha);
  return tf.tidy(() => halfLogDet(scaled(features, alpha)));
}

/**
 * Gradient of {@link codingRate} with respect to the features, alpha F (I + alpha FT F)^-1, as values: for a backward
 * pass that is put together by hand, e.g. over micro-batches.
 *
 * @param features - `[..., B, d]`, float32.
 * @returns the shape of `features`, float32; not differentiable
 * @throws SslError `SHAPE_MISMATCH`; `BAD_OPTION` for a negative alpha
 */
export function codingRateGradient(features: tf.Tensor, { alpha }: CodingRateOptions): tf.Tensor {
  checkInputs('codingRateGradient', features, alpha);
  return tf.tidy(() => {
    const z = scaled(features, alpha);
    return tf.mul(timesInverse(z, factorOf(z)), rootOf(alpha));
  });
}

function rootOf(alpha: NumberOrScalar): NumberOrScalar {
  return typeof alpha === 'number' ? Math.sqrt(alpha) : tf.sqrt(alpha);
}

function checkInputs(where: string, features: tf.Tensor, alpha: NumberOrScalar): void {
  checkShape(`loss-coding-rate.${where}`, 'features', features, ['...', 'B', 'd']);
  if (typeof alpha !== 'number' || alpha >= 0) return;
  throw new SslError('BAD_OPTION', {
    where: `loss-coding-rate.${where}`,
    expected: 'alpha >= 0',
    got: `${alpha}`,
    fix: 'take alpha from alphaOf',
    details: { alpha },
  });
}

/** Features times sqrt(alpha), so that the rate is that of alpha 1. */
function scaled(features: tf.Tensor, alpha: NumberOrScalar): tf.Tensor {
  return tf.mul(features, rootOf(alpha));
}

/** 1/2 log det(I + zT z). */
function halfLogDet(z: tf.Tensor): tf.Tensor {
  return withGradient([z], () => {
    const l = factorOf(z);
    const diagonal = tf.sum(tf.mul(l, tf.eye(l.shape[l.rank - 1])), -1);
    return {
      value: tf.sum(tf.log(diagonal), -1),
      saved: [z, l],
      gradient: (dy, [z, l]) => [tf.mul(timesInverse(z, l), tf.reshape(dy, [...dy.shape, 1, 1]))],
    };
  });
}

/** Whether the Gram matrix of the rows, z zT, is the smaller one. */
function rowsAreFewer({ shape }: tf.Tensor): boolean {
  return shape[shape.length - 2] <= shape[shape.length - 1];
}

/** Cholesky factor of I + the smaller Gram matrix. */
function factorOf(z: tf.Tensor): tf.Tensor {
  const rows = rowsAreFewer(z);
  const gram = tf.matMul(z, z, !rows, rows);
  return cholesky(tf.add(gram, tf.eye(gram.shape[gram.rank - 1])));
}

/** z (I + zT z)^-1 = (I + z zT)^-1 z from the factor of either matrix. */
function timesInverse(z: tf.Tensor, l: tf.Tensor): tf.Tensor {
  const solve = (b: tf.Tensor): tf.Tensor => triangularSolve(l, triangularSolve(l, b), { transpose: true });
  return rowsAreFewer(z) ? solve(z) : transposeLast(solve(transposeLast(z)));
}
