import { checkShape } from '@selfsup/core';
import { softmax } from '@selfsup/ops';
import * as tf from '@tensorflow/tfjs-core';
import { checkScalar, type ScalarLike } from './scalars.js';

/**
 * Targets by centring and sharpening (DINO, Caron et al. 2021, section 3.1): softmax((logits - center) / temperature).
 *
 * @param logits - `[..., K]`, float32, of the teacher.
 * @param center - K elements of any shape, float32.
 * @param temperature - Scalar greater than 0, e.g. 0.04.
 * @returns the shape of the logits, float32, rows sum to 1
 * @throws SslError `SHAPE_MISMATCH`
 */
export function softmaxTargets(logits: tf.Tensor, center: tf.Tensor, temperature: ScalarLike): tf.Tensor {
  const where = 'ema-distill.softmaxTargets';
  const { K } = checkShape(where, 'logits', logits, ['...', 'K']);
  checkCenter(where, center, K);
  checkScalar(where, 'temperature', temperature);
  return tf.tidy(() => softmax(tf.div(tf.sub(logits, tf.reshape(center, [K])), temperature)));
}

/** Smallest value to take the logarithm of. */
const SMALLEST = 1e-37;

/**
 * The center after a step: momentum * center + (1 - momentum) * mean of the teacher's logits. To be applied after the
 * targets of the step are made.
 *
 * @param center - K elements of any shape, float32; zeros at first.
 * @param logits - `[..., K]`, float32, all rows of all groups.
 * @param momentum - 0.9 in all published recipes.
 * @param rowWeights - Weights of the rows' mean, one per row, float32, summing to 1, or all 0: then the center stays as
 * it is. For masked patches, see {@link maskedPatches}; the plain mean by default.
 * @returns the shape of the center, float32
 * @throws SslError `SHAPE_MISMATCH`
 */
export function updateCenter(
  center: tf.Tensor,
  logits: tf.Tensor,
  momentum = CENTER_MOMENTUM,
  rowWeights?: tf.Tensor,
): tf.Tensor {
  const where = 'ema-distill.updateCenter';
  const { K } = checkShape(where, 'logits', logits, ['...', 'K']);
  checkCenter(where, center, K);
  const M = logits.size / K;
  if (rowWeights !== undefined) checkShape(where, 'rowWeights', rowWeights, [M]);
  return tf.tidy(() => {
    const rows = tf.reshape(logits, [M, K]);
    if (rowWeights === undefined) {
      const mean = tf.reshape(tf.mean(rows, 0), center.shape);
      return tf.add(tf.mul(center, momentum), tf.mul(mean, 1 - momentum));
    }
    const mean = tf.reshape(tf.matMul(tf.reshape(rowWeights, [1, M]), rows), center.shape);
    // 1 - momentum where there are rows, 0 where there are none.
    const share = tf.mul(tf.cast(tf.greater(tf.sum(rowWeights), 0), 'float32'), 1 - momentum);
    return tf.add(tf.mul(center, tf.sub(1, share)), tf.mul(mean, 1 - momentum));
  });
}

/** Momentum of the center in all published recipes. */
export const CENTER_MOMENTUM = 0.9;

/**
 * Mean entropy of distributions, -sum_k q_k log q_k: what the cross entropy cannot fall below. 0 when all weight is on
 * one prototype (no centring), log K when it is spread evenly (no sharpening): DINO's two kinds of collapse.
 *
 * @param targets - `[..., K]`, float32, rows sum to 1.
 * @returns float32 scalar in [0, log K]
 */
export function meanEntropy(targets: tf.Tensor): tf.Scalar {
  return tf.tidy(() => {
    const logs = tf.log(tf.maximum(targets, SMALLEST));
    return tf.mean<tf.Scalar>(tf.neg(tf.sum(tf.mul(targets, logs), -1)));
  });
}

function checkCenter(where: string, center: tf.Tensor, prototypes: number): void {
  checkShape(where, 'center (flattened)', { shape: [center.size] }, [prototypes]);
}
