import * as tf from '@tensorflow/tfjs-core';
import { runComposite } from './composite.js';
import { withGradient } from './with-gradient.js';

/** 1/2 (1 + erf(x / sqrt 2)), the normal distribution function. */
function normalCdf(x: tf.Tensor): tf.Tensor {
  return tf.add(tf.mul(tf.erf(tf.mul(x, Math.SQRT1_2)), 0.5), 0.5);
}

/**
 * Gaussian error linear unit in its exact form, x Phi(x) (Hendrycks and Gimpel, 2016), as PyTorch's `nn.GELU()`.
 * Its gradient keeps x alone.
 *
 * @param x - Any shape, float32.
 * @returns the same shape, float32, at least -0.17
 */
export function gelu<T extends tf.Tensor>(x: T): T {
  return withGradient<T>([x], () => {
    const [value] = runComposite('Selfsup.Gelu', { x }, {}, () => [tf.mul(x, normalCdf(x))]);
    return { value: value as T, saved: [x], gradient: (dy, [kept]) => [geluGrad(dy, kept)] };
  });
}

/** dy (Phi(x) + x phi(x)), where phi is the normal density. */
function geluGrad(dy: tf.Tensor, x: tf.Tensor): tf.Tensor {
  const [dx] = runComposite('Selfsup.GeluGrad', { dy, x }, {}, () => {
    const density = tf.mul(tf.exp(tf.mul(tf.mul(x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
    return [tf.mul(dy, tf.add(normalCdf(x), tf.mul(x, density)))];
  });
  return dx;
}
