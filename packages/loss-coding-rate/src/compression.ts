import { pickNamed } from '@selfsup/core';
import { normalize } from '@selfsup/ops';
import * as tf from '@tensorflow/tfjs-core';

/**
 * How two features are compared: `cosine` (SimDINO; the gradient is tangential to the sphere) or `dot` (SimDINOv2; keeps
 * the radial part). Unit rows give the same values, and the same gradients behind a head that normalises.
 */
export type Similarity = 'cosine' | 'dot';

/** Smallest length that a cosine divides by, as in PyTorch's `cosine_similarity`. */
const COSINE_EPSILON = 1e-8;

/** Rows of unit length, for a cosine that is a plain dot product from here on. */
export function unitRows(x: tf.Tensor): tf.Tensor {
  return normalize(x, { epsilon: COSINE_EPSILON });
}

/** What makes a dot product the similarity of that name. */
const PREPARE: Readonly<Record<Similarity, (x: tf.Tensor) => tf.Tensor>> = { cosine: unitRows, dot: (x) => x };

/**
 * Mean similarity over the 2 C - 2 pairs of a teacher's global view with another view of the student (spec 3.6: A).
 *
 * @param student - `[C, B, d]`, the first two views are the global ones.
 * @param teacher - `[2, B, d]`, without gradient.
 */
export function compressionOf(student: tf.Tensor3D, teacher: tf.Tensor3D, similarity: Similarity): tf.Scalar {
  const views = student.shape[0];
  const prepare = pickNamed('loss-coding-rate.simDinoLoss', 'similarity', similarity, PREPARE);
  const targets = prepare(teacher);
  // What each student view is compared with: the other global view, or the sum of both.
  const other = tf.reverse(targets, 0);
  const both = tf.sum(targets, 0, true);
  const partners = views === 2 ? other : tf.concat([other, tf.tile(both, [views - 2, 1, 1])], 0); // [C, B, d]
  const perImage = tf.sum(tf.mul(prepare(student), partners), -1); // [C, B]
  return tf.div(tf.sum(tf.mean(perImage, -1)), 2 * views - 2);
}
