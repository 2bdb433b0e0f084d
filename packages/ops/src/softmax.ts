import * as tf from '@tensorflow/tfjs-core';
import { runComposite } from './composite.js';
import { withGradient } from './with-gradient.js';

/**
 * Softmax over the last axis. Its gradient keeps the result alone.
 *
 * @param x - `[..., K]`, float32; -Infinity stands for a weight of 0 as long as one entry of a row is finite.
 * @returns the same shape, float32, rows sum to 1
 */
export function softmax<T extends tf.Tensor>(x: T): T {
  return withGradient<T>([x], () => {
    const [y] = runComposite('Selfsup.Softmax', { x }, {}, () => [tf.softmax(x)]);
    return { value: y as T, saved: [y], gradient: (dy, [y]) => [softmaxGrad(dy, y)] };
  });
}

function softmaxGrad(dy: tf.Tensor, y: tf.Tensor): tf.Tensor {
  const [dx] = runComposite('Selfsup.SoftmaxGrad', { dy, y }, {}, () => {
    const weighted = tf.mul(dy, y);
    return [tf.sub(weighted, tf.mul(y, tf.sum(weighted, -1, true)))];
  });
  return dx;
}
