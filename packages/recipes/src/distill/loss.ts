import { checkShape } from '@selfsup/core';
import { patchCosineLoss } from '@selfsup/loss-coding-rate';
import * as tf from '@tensorflow/tfjs-core';

/** Tokens of n views, float32. A type alias, so that it is a record of tensors for `tf.tidy`. */
export type Tokens = {
  /** `[n, D]`. */
  readonly cls: tf.Tensor2D;
  /** `[n, N, D]`; absent where patches do not count. */
  readonly patches?: tf.Tensor3D;
};

/** Mean cosines of student and teacher, -1 to 1; 1 where the student has learned everything. */
export type TokenCosines = {
  readonly cls: tf.Scalar;
  readonly patch?: tf.Scalar;
};

/** Mean cosine of rows `[M, D]` with targets of the same shape; the targets get no gradient. */
function meanCosine(student: tf.Tensor2D, teacher: tf.Tensor2D): tf.Scalar {
  const [rows] = student.shape;
  return tf.neg(patchCosineLoss({ student, teacher, weights: tf.ones([rows]), crops: rows }));
}

const asRows = (tokens: tf.Tensor3D): tf.Tensor2D => tf.reshape(tokens, [-1, tokens.shape[2]]);

/**
 * How alike the tokens of student and teacher are on the same views: CLS token with CLS token, each patch with the patch
 * at the same place. Distillation minimises clsWeight (1 - cls) + patchWeight (1 - patch).
 *
 * *Source*: AM-RADIO (Ranzinger et al., CVPR 2024, "Loss Formulation"): a cosine for the summary token and, for spatial
 * features, a cosine to which they add a tenth of smooth L1; here the cosine alone. That the teacher is frozen, and that
 * neither masks nor stochastic depth are used, is also how DINOv2 distils (Oquab et al., TMLR 2024, section 5), with
 * other losses.
 *
 * @param student - at the teacher's width
 * @throws SslError `SHAPE_MISMATCH` for tokens of other numbers or widths
 */
export function tokenCosines(student: Tokens, teacher: Tokens): TokenCosines {
  const where = 'recipes.tokenCosines';
  checkShape(where, 'student.cls', student.cls, teacher.cls.shape);
  const cls = meanCosine(student.cls, teacher.cls);
  if (student.patches === undefined || teacher.patches === undefined) return { cls };
  checkShape(where, 'student.patches', student.patches, teacher.patches.shape);
  return { cls, patch: meanCosine(asRows(student.patches), asRows(teacher.patches)) };
}
