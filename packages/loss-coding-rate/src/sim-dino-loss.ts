import { checkShape, formatShape, pickNamed, SslError } from '@selfsup/core';
import { stopGradient } from '@selfsup/ops';
import * as tf from '@tensorflow/tfjs-core';
import { compressionOf, type Similarity } from './compression.js';
import { expansion, type ExpansionFeatures, type ExpansionOptions } from './expansion.js';
import type { NumberOrScalar } from './strength.js';

/** Projected features of all views of a batch, rows of unit length. */
export interface SimDinoFeatures {
  /** `[C, B, d]`, float32, crop-major: two global views, then the local ones. */
  readonly student: tf.Tensor3D;
  /** `[2, B, d]`, float32, the global views. Gets no gradient unless `targetGradient` says so. */
  readonly teacher: tf.Tensor3D;
}

/** Options of {@link simDinoLoss}; the defaults are those of the published SimDINO command on one process. */
export interface SimDinoOptions extends ExpansionOptions {
  /** Weight of the compression term (the authors' coeff); 1 by default. */
  readonly compressionWeight?: NumberOrScalar;
  /** Whose coding rate is expanded; `mean-with-teacher` by default. */
  readonly expansionFeatures?: ExpansionFeatures;
  /** `cosine` (SimDINO) by default; `dot` for SimDINOv2. */
  readonly similarity?: Similarity;
  /** Whether targets are constants (`stop`, the default and the published method) or get a gradient as well (`flow`). */
  readonly targetGradient?: TargetGradient;
}

/** What becomes of the gradient for the targets. */
export type TargetGradient = 'stop' | 'flow';

function targetsFor(teacher: tf.Tensor3D, gradient: TargetGradient): tf.Tensor3D {
  return gradient === 'flow' ? teacher : stopGradient(teacher);
}

/** What {@link simDinoLoss} gives. */
export interface SimDinoLoss {
  /** -compressionWeight * compression - expansion: the value to minimise. Negative once training goes well. */
  readonly loss: tf.Scalar;
  /** Mean similarity of views, -1 to 1; 1 when all views agree, also at collapse. */
  readonly compression: tf.Scalar;
  /** gamma times the coding rate, between `collapsed` and `maximum` of `collapseBudget` for unit rows. */
  readonly expansion: tf.Scalar;
}

/**
 * SimDINO loss for CLS features (Wu et al., "Simplifying DINO via coding rate regularization", 2025; spec 3.6): views of
 * one image are pulled together, features of the batch are spread out by their coding rate.
 *
 * @throws SslError `SHAPE_MISMATCH` for other than two teacher views, less than two student views, or batch or width
 *   that differ; `BAD_OPTION` for groups that do not divide the batch, an eps that is not positive; `UNKNOWN_NAME`
 *   for an option that has no such choice
 *
 * @example
 * const { loss } = simDinoLoss({ student, teacher }, { codingRateEps: 0.05, groups: 8 });
 */
export function simDinoLoss({ student, teacher }: SimDinoFeatures, options: SimDinoOptions = {}): SimDinoLoss {
  const { compressionWeight = 1, expansionFeatures: whose, similarity = 'cosine', targetGradient, ...rate } = options;
  checkFeatures('simDinoLoss', student, teacher);
  return tf.tidy(() => {
    const targets = targetsFor(teacher, targetGradient ?? 'stop');
    const compression = compressionOf(student, targets, similarity);
    const spread = expansion(expansionFeatures({ student, teacher }, whose, targetGradient), rate);
    const loss = tf.neg(tf.add(tf.mul(compression, compressionWeight), spread)) as tf.Scalar;
    return { loss, compression, expansion: spread };
  });
}

const CHOICES: Readonly<Record<ExpansionFeatures, (globals: tf.Tensor3D, teacher: tf.Tensor3D) => tf.Tensor3D>> = {
  student: (globals) => globals,
  'mean-with-teacher': (globals, teacher) => tf.mul(tf.add(globals, teacher), 0.5),
};

/**
 * Features whose coding rate the loss expands: the student's global views, or their mean with the teacher's.
 *
 * @returns `[2, B, d]`; half of the gradient reaches the student with `mean-with-teacher`, none reaches the teacher
 * @throws SslError `SHAPE_MISMATCH`, `UNKNOWN_NAME`
 */
export function expansionFeatures(
  { student, teacher }: SimDinoFeatures,
  whose: ExpansionFeatures = 'mean-with-teacher',
  targetGradient: TargetGradient = 'stop',
): tf.Tensor3D {
  checkFeatures('expansionFeatures', student, teacher);
  const choose = pickNamed('loss-coding-rate.expansionFeatures', 'expansionFeatures', whose, CHOICES);
  const [, batch, width] = student.shape;
  return tf.tidy(() => {
    const globals = tf.slice(student, [0, 0, 0], [2, batch, width]);
    return choose(globals, targetsFor(teacher, targetGradient));
  });
}

function checkFeatures(where: string, student: tf.Tensor3D, teacher: tf.Tensor3D): void {
  const at = `loss-coding-rate.${where}`;
  const sizes = checkShape(at, 'student', student, ['C', 'B', 'd']);
  if (sizes.C < 2) {
    throw new SslError('SHAPE_MISMATCH', {
      where: at,
      expected: 'student [C, B, d] with C >= 2',
      got: formatShape(student.shape),
      fix: 'pass at least two global views; pairs of the same view are left out, so one view gives no terms',
      details: { student: [...student.shape] },
    });
  }
  checkShape(at, 'teacher', teacher, [2, 'B', 'd'], sizes);
}
