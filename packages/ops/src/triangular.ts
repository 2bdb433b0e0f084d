import * as tf from '@tensorflow/tfjs-core';

/** Pieces shared by the factorisations: constant masks and views of stacks of square matrices. */

/** A constant `[n, n]` mask of zeros and ones from a rule on (row, column). */
function maskOf(n: number, rule: (row: number, column: number) => boolean): tf.Tensor2D {
  const data = new Float32Array(n * n);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) data[i * n + j] = rule(i, j) ? 1 : 0;
  return tf.tensor2d(data, [n, n]);
}

/** The lower triangle with the diagonal; whatever stands above becomes 0, also NaN. */
export function lowerTriangle(x: tf.Tensor): tf.Tensor {
  const n = x.shape[x.rank - 1];
  const mask = tf.cast(
    maskOf(n, (i, j) => i >= j),
    'bool',
  );
  return tf.where(mask, x, tf.zerosLike(x));
}

/**
 * Swaps the last two dimensions.
 *
 * @param x - `[..., N, M]`
 * @returns `[..., M, N]`
 */
export function transposeLast(x: tf.Tensor): tf.Tensor {
  const perm = Array.from({ length: x.rank }, (_, i) => i);
  [perm[x.rank - 2], perm[x.rank - 1]] = [x.rank - 1, x.rank - 2];
  return tf.transpose(x, perm);
}

/** One stack of matrices, `[..., n, m]` to `[S, n, m]`. */
export function stackOf(x: tf.Tensor): tf.Tensor3D {
  const [n, m] = x.shape.slice(-2);
  return tf.reshape(x, [x.shape.slice(0, -2).reduce((a, b) => a * b, 1), n, m]);
}

/** Rows `from` to `to` and columns `left` to `right` of every matrix of a stack. */
export function window(x: tf.Tensor3D, from: number, to: number, left: number, right: number): tf.Tensor3D {
  if (from === 0 && left === 0 && to === x.shape[1] && right === x.shape[2]) return x;
  return tf.slice(x, [0, from, left], [x.shape[0], to - from, right - left]);
}

/**
 * Inverse of lower triangular matrices by doubling: with X the inverse of the diagonal blocks of size s, X - X Q X is
 * that of the blocks of size 2 s, Q being what couples two neighbours. Two products for each power of two below n.
 *
 * @param l - `[S, n, n]`; only the lower triangle is read, a zero on the diagonal gives non-finite numbers
 * @returns `[S, n, n]`, lower triangular
 */
export function invertLower(l: tf.Tensor3D): tf.Tensor3D {
  const n = l.shape[1];
  const eye = tf.eye(n);
  const diagonal = tf.sum(tf.mul(l, eye), -1, true); // [S, n, 1]
  let inverse: tf.Tensor = tf.div(eye, diagonal);
  for (let s = 1; s < n; s *= 2) {
    const couples = maskOf(n, (i, j) => i % (2 * s) >= s && i - (i % s) - s <= j && j < i - (i % s));
    const step = tf.matMul(inverse, tf.matMul(tf.mul(l, couples), inverse));
    inverse = tf.sub(inverse, step);
  }
  return inverse as tf.Tensor3D;
}
