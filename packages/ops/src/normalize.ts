import { SslError } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { withGradient } from './with-gradient.js';

/** Options of {@link normalize}. */
export interface NormalizeOptions {
  /** Axis whose entries make one vector; the last by default. */
  readonly axis?: number;
  /** Smallest length to divide by, greater than 0; {@link NORMALIZE_EPSILON} by default. */
  readonly epsilon?: number;
}

/** Default of {@link NormalizeOptions.epsilon}, PyTorch's. */
export const NORMALIZE_EPSILON = 1e-12;

/**
 * Unit length: x / max(|x|, epsilon), as PyTorch's `F.normalize`, whose gradient it has too. A zero vector stays zero
 * and gets the finite gradient dy / epsilon.
 *
 * @param x - Any shape of at least one dimension, float32.
 * @returns the same shape, float32, vectors of length 1 (shorter where |x| < epsilon)
 * @throws SslError `BAD_OPTION` for an axis x does not have or an epsilon that is not positive
 */
export function normalize<T extends tf.Tensor>(
  x: T,
  { axis = -1, epsilon = NORMALIZE_EPSILON }: NormalizeOptions = {},
): T {
  checkOptions(x, axis, epsilon);
  return withGradient<T>([x], () => {
    const norm = tf.sqrt(tf.sum(tf.mul(x, x), axis, true));
    const y = tf.div(x, tf.maximum(norm, epsilon));
    return {
      value: y as T,
      saved: [y, norm],
      gradient: (dy, [y, norm]) => {
        // Below epsilon the length is constant, so nothing is taken away along y.
        const counts = tf.cast(tf.greaterEqual(norm, epsilon), 'float32');
        const along = tf.mul(tf.mul(y, counts), tf.sum(tf.mul(dy, y), axis, true));
        return [tf.div(tf.sub(dy, along), tf.maximum(norm, epsilon))];
      },
    };
  });
}

function checkOptions(x: tf.Tensor, axis: number, epsilon: number): void {
  if (!Number.isInteger(axis) || axis < -x.rank || axis >= x.rank) {
    throw new SslError('BAD_OPTION', {
      where: 'ops.normalize',
      expected: `axis of a tensor with ${x.rank} dimensions`,
      got: `${axis}`,
      fix: 'pass an axis the tensor has, e.g. -1 for the last one',
      details: { axis, rank: x.rank },
    });
  }
  if (!(epsilon > 0)) {
    throw new SslError('BAD_OPTION', {
      where: 'ops.normalize',
      expected: 'epsilon > 0',
      got: `${epsilon}`,
      fix: `pass a small positive epsilon, e.g. ${NORMALIZE_EPSILON}`,
      details: { epsilon },
    });
  }
}
