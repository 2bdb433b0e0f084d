import { checkShape } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { runComposite } from './composite.js';
import { withGradient } from './with-gradient.js';

/** Epsilon of {@link layerNorm} in every vision transformer of the DINO family. */
export const LAYER_NORM_EPSILON = 1e-6;

/**
 * Layer normalisation over the last axis (Ba, Kiros and Hinton, 2016): (x - mean) / sqrt(var + epsilon) * weight + bias
 * with the biased variance, as PyTorch's `layer_norm`. Its gradient keeps x, the weight, mean and 1 / deviation.
 *
 * @param x - `[..., D]`, float32.
 * @param weight - `[D]`, float32.
 * @param bias - `[D]`, float32.
 * @param epsilon - Added to the variance; greater than 0.
 * @returns the shape of x, float32
 * @throws SslError `SHAPE_MISMATCH`
 */
export function layerNorm<T extends tf.Tensor>(
  x: T,
  weight: tf.Tensor,
  bias: tf.Tensor,
  epsilon: number = LAYER_NORM_EPSILON,
): T {
  const sizes = checkShape('ops.layerNorm', 'x', x, ['...', 'D']);
  checkShape('ops.layerNorm', 'weight', weight, ['D'], sizes);
  checkShape('ops.layerNorm', 'bias', bias, ['D'], sizes);
  return withGradient<T>([x, weight, bias], () => {
    const [value, mean, rstd] = runComposite('Selfsup.LayerNorm', { x, weight, bias }, { epsilon }, () => {
      const mean = tf.mean(x, -1, true);
      const centred = tf.sub(x, mean);
      const rstd = tf.rsqrt(tf.add(tf.mean(tf.mul(centred, centred), -1, true), epsilon));
      return [tf.add(tf.mul(tf.mul(centred, rstd), weight), bias), mean, rstd];
    });
    return {
      value: value as T,
      saved: [x, weight, mean, rstd],
      gradient: (dy, [x, weight, mean, rstd]) => layerNormGrad(dy, x, weight, mean, rstd),
    };
  });
}

function layerNormGrad(
  dy: tf.Tensor,
  x: tf.Tensor,
  weight: tf.Tensor,
  mean: tf.Tensor,
  rstd: tf.Tensor,
): [dx: tf.Tensor, dweight: tf.Tensor, dbias: tf.Tensor] {
  const [dx, dweight, dbias] = runComposite('Selfsup.LayerNormGrad', { dy, x, weight, mean, rstd }, {}, () => {
    const unit = tf.mul(tf.sub(x, mean), rstd);
    const g = tf.mul(dy, weight);
    const along = tf.mul(unit, tf.mean(tf.mul(g, unit), -1, true));
    const dx = tf.mul(tf.sub(tf.sub(g, tf.mean(g, -1, true)), along), rstd);
    const leading = Array.from({ length: x.rank - 1 }, (_, i) => i);
    return [dx, tf.sum(tf.mul(dy, unit), leading), tf.sum(dy, leading)];
  });
  return [dx, dweight, dbias];
}
