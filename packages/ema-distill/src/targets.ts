import { checkShape, SslError } from '@selfsup/core';
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

/** Options of {@link sinkhornTargets}. */
export interface SinkhornOptions {
  /** 3 by default. */
  readonly iterations?: number;
  /**
   * `[M]`, float32 or bool: rows with 0 are padding, take no part and get targets of 0. Every row counts by default.
   */
  readonly rows?: tf.Tensor;
}

/** Smallest sum to divide by: a prototype or row without any weight stays without. */
const SMALLEST_SUM = 1e-37;

/**
 * Targets by Sinkhorn-Knopp (SwAV, Caron et al. 2020; DINOv2's `sinkhorn_knopp_teacher`): exp(logits / temperature)
 * scaled in turns so that every prototype gets the same share and every row sums to 1. Over all rows given, which in
 * the published recipes are those of all groups.
 *
 * As row and column factors around one exponential: an iteration is two matrix-vector products and writes nothing of
 * the logits' size. The largest logit is subtracted first, which changes nothing but cannot overflow.
 *
 * @param logits - `[M, K]` or `[G, B, K]`, float32, of the teacher.
 * @param temperature - Scalar greater than 0.
 * @returns the shape of the logits, float32; rows that count sum to 1
 * @throws SslError `SHAPE_MISMATCH`, `BAD_OPTION`
 */
export function sinkhornTargets(
  logits: tf.Tensor,
  temperature: ScalarLike,
  { iterations = 3, rows }: SinkhornOptions = {},
): tf.Tensor {
  const where = 'ema-distill.sinkhornTargets';
  const { K } = checkShape(where, 'logits', logits, ['...', 'K']);
  const M = logits.size / K;
  if (rows !== undefined) checkShape(where, 'rows', rows, [M]);
  checkScalar(where, 'temperature', temperature);
  checkIterations(where, iterations);
  return tf.tidy(() => {
    const flat = tf.reshape(logits, [M, K]);
    const counts = rows === undefined ? tf.ones([M, 1]) : tf.cast(tf.greater(tf.reshape(rows, [M, 1]), 0), 'float32');
    const weights = tf.exp(tf.div(tf.sub(flat, largestLogit(flat, counts)), temperature)); // [M, K]
    const share = tf.div(tf.sum(counts), K); // what every prototype gets
    let rowFactors: tf.Tensor = counts; // [M, 1]
    let prototypeFactors: tf.Tensor = tf.ones([1, K]);
    for (let i = 0; i < iterations; i++) {
      prototypeFactors = tf.mul(share, inverse(tf.matMul(rowFactors, weights, true, false))); // [1, K]
      rowFactors = tf.mul(counts, inverse(tf.matMul(weights, prototypeFactors, false, true))); // [M, 1]
    }
    return tf.reshape(tf.mul(tf.mul(weights, prototypeFactors), rowFactors), logits.shape);
  });
}

/** The largest logit of the rows that count; padding gets its own, so that its exponentials cannot overflow. */
function largestLogit(logits: tf.Tensor, counts: tf.Tensor): tf.Tensor {
  const perRow = tf.max(logits, 1, true); // [M, 1]
  const counted = tf.greater(counts, 0);
  return tf.where(counted, tf.max(tf.where(counted, perRow, tf.min(perRow))), perRow);
}

function inverse(sums: tf.Tensor): tf.Tensor {
  return tf.div(1, tf.maximum(sums, SMALLEST_SUM));
}

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
    const logs = tf.log(tf.maximum(targets, SMALLEST_SUM));
    return tf.mean<tf.Scalar>(tf.neg(tf.sum(tf.mul(targets, logs), -1)));
  });
}

function checkCenter(where: string, center: tf.Tensor, prototypes: number): void {
  checkShape(where, 'center (flattened)', { shape: [center.size] }, [prototypes]);
}

function checkIterations(where: string, iterations: number): void {
  if (Number.isInteger(iterations) && iterations > 0) return;
  throw new SslError('BAD_OPTION', {
    where,
    expected: 'at least one iteration',
    got: `${iterations}`,
    fix: 'pass a positive whole number; the authors use 3',
    details: { iterations },
  });
}
