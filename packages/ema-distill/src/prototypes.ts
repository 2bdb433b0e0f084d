import { checkShape } from '@selfsup/core';
import { matrixProduct, withGradient } from '@selfsup/ops';
import * as tf from '@tensorflow/tfjs-core';

/** Shortest direction to divide by: a zero row gives logits of 0 instead of NaN. */
const SHORTEST = 1e-12;

/**
 * Logits against weight-normalised prototypes (Salimans and Kingma, 2016; the last layer of DINO's head):
 * norms_k * features . directions_k / |directions_k|.
 *
 * The norms are folded into the columns of the logits, forward and backward, so no normalised copy of the weight
 * (64 MB for 65,536 prototypes of width 256) is ever made or kept; the gradient needs one product of the weight's size.
 * The products may be rounded to bfloat16 (`matrixProduct`), as the authors' heads run in half precision.
 *
 * @param features - `[N, D]`, float32, unit rows in all published heads.
 * @param directions - `[K, D]`, float32: `last_layer.weight_v`. A zero row gives logits of 0.
 * @param norms - `[K, 1]`, float32: `last_layer.weight_g`. A norm of exactly 0 gets no gradient.
 * @returns `[N, K]`, float32
 * @throws SslError `SHAPE_MISMATCH`
 */
export function prototypeLogits(features: tf.Tensor, directions: tf.Tensor, norms: tf.Tensor): tf.Tensor2D {
  const where = 'ema-distill.prototypeLogits';
  const sizes = checkShape(where, 'features', features, ['N', 'D']);
  const { K } = checkShape(where, 'directions', directions, ['K', 'D'], sizes);
  checkShape(where, 'norms', norms, ['K', 1], sizes);
  return withGradient<tf.Tensor2D>([features, directions, norms], () => {
    const lengths = tf.maximum(tf.sqrt(tf.sum(tf.square(directions), 1)), SHORTEST); // [K]
    const scales = tf.div(tf.reshape(norms, [K]), lengths); // [K]
    const value = tf.mul(matrixProduct(features, directions, false, true), scales) as tf.Tensor2D;
    return { value, saved: [features, directions, norms, lengths, scales], gradient: logitsGradient };
  });
}

function logitsGradient(
  dy: tf.Tensor,
  [features, directions, norms, lengths, scales]: readonly tf.Tensor[],
): tf.Tensor[] {
  const scaled = tf.mul(dy, scales); // [N, K]
  const free = matrixProduct(scaled, features, true, false); // [K, D]: gradient if lengths did not cancel
  const along = tf.sum(tf.mul(free, directions), 1, true); // [K, 1]
  const taken = tf.div(along, tf.square(tf.reshape(lengths, along.shape)));
  return [matrixProduct(scaled, directions), tf.sub(free, tf.mul(directions, taken)), tf.divNoNan(along, norms)];
}
