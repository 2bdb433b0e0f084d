import { checkShape } from '@selfsup/core';
import { stopGradient } from '@selfsup/ops';
import * as tf from '@tensorflow/tfjs-core';
import { unitRows } from './compression.js';
import type { NumberOrScalar } from './strength.js';

/** Features of masked patches and what they count. The number of rows M is fixed; rows of weight 0 fill it up. */
export interface MaskedPatches {
  /** `[M, d]`, float32: the student's features at masked places, any length, finite also where the weight is 0. */
  readonly student: tf.Tensor2D;
  /** `[M, d]`, float32: the teacher's at the same places, from the unmasked image. Gets no gradient. */
  readonly teacher: tf.Tensor2D;
  /** `[M]`, float32: one over the number of masked patches of the row's crop, 0 for a row that fills up. */
  readonly weights: tf.Tensor1D;
  /** Number of crops, masked or not (2 B for the global ones), greater than 0. */
  readonly crops: NumberOrScalar;
}

/**
 * Patch term of SimDINOv2: minus the mean cosine of student and teacher on masked patches, each crop counting alike
 * (spec 3.6: P). With half of the crops masked it lies between -0.5 and 0.5; without any masked patch it is 0.
 *
 * @returns a scalar
 * @throws SslError `SHAPE_MISMATCH`
 */
export function patchCosineLoss({ student, teacher, weights, crops }: MaskedPatches): tf.Scalar {
  const where = 'loss-coding-rate.patchCosineLoss';
  const sizes = checkShape(where, 'student', student, ['M', 'd']);
  checkShape(where, 'teacher', teacher, ['M', 'd'], sizes);
  checkShape(where, 'weights', weights, ['M'], sizes);
  return tf.tidy(() => {
    const cosines = tf.sum(tf.mul(unitRows(student), unitRows(stopGradient(teacher))), -1); // [M]
    return tf.neg(tf.div<tf.Scalar>(tf.sum(tf.mul(cosines, weights)), crops));
  });
}
