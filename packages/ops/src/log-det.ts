import { checkShape } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { factorise } from './cholesky.js';
import { solve } from './triangular-solve.js';
import { withGradient } from './with-gradient.js';

/**
 * Natural logarithm of the determinant of symmetric positive definite matrices, through the Cholesky factor. Its
 * gradient is dy a^-1 by two triangular solves and keeps the factor alone. A matrix that is not positive definite gives
 * NaN.
 *
 * @param a - `[..., N, N]`, float32, symmetric positive definite; symmetrised first.
 * @returns `[...]`, float32
 * @throws SslError `SHAPE_MISMATCH`
 */
export function logDet(a: tf.Tensor): tf.Tensor {
  checkShape('ops.logDet', 'a', a, ['...', 'N', 'N']);
  return withGradient([a], () => {
    const l = factorise(a);
    return {
      value: tf.mul(logDiagonalSum(l), 2),
      saved: [l],
      gradient: (dy, [l]) => [tf.mul(inverseFromFactor(l), tf.reshape(dy, [...dy.shape, 1, 1]))],
    };
  });
}

/**
 * Sum of the logarithms of the diagonal: half the log-determinant of l lT.
 *
 * @param l - `[..., N, N]`, float32, with a positive diagonal.
 * @returns `[...]`, float32
 */
function logDiagonalSum(l: tf.Tensor): tf.Tensor {
  return tf.sum(tf.log(tf.sum(tf.mul(l, tf.eye(l.shape[l.rank - 1])), -1)), -1);
}

/** (l lT)^-1. */
function inverseFromFactor(l: tf.Tensor): tf.Tensor {
  const eyes = tf.broadcastTo(tf.eye(l.shape[l.rank - 1]), l.shape);
  return solve(l, solve(l, eyes, false), true);
}
