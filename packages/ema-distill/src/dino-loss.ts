import { SslError } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { pairwiseCrossEntropy } from './cross-entropy.js';
import type { ScalarLike } from './scalars.js';
import { CENTER_MOMENTUM, softmaxTargets, updateCenter } from './targets.js';

/** Temperature of the student in all published recipes. */
export const STUDENT_TEMPERATURE = 0.1;

/** Input of {@link dinoLoss}. */
export interface DinoLossInput {
  /** `[C, B, K]`, float32 logits; the first two crops are the global ones. */
  readonly student: tf.Tensor;
  /** `[2, B, K]`, float32 logits of the global crops; receives no gradient. */
  readonly teacher: tf.Tensor;
  /** K elements of any shape, float32; zeros at first. */
  readonly center: tf.Tensor;
  /** Scalar greater than 0, e.g. 0.04. */
  readonly teacherTemperature: ScalarLike;
  /** {@link STUDENT_TEMPERATURE} by default. */
  readonly studentTemperature?: ScalarLike;
  /** {@link CENTER_MOMENTUM} by default. */
  readonly centerMomentum?: number;
}

/** A type alias, so that it is a record of tensors for `tf.tidy`. */
export type DinoLossOutput = {
  /** float32. */
  readonly loss: tf.Scalar;
  /** The center for the next step, in the shape it came. */
  readonly center: tf.Tensor;
  /** The teacher's distributions of this step, `[2, B, K]`, e.g. for {@link meanEntropy}. */
  readonly targets: tf.Tensor;
};

/**
 * DINO's loss (Caron et al. 2021, equation 3; `DINOLoss`): cross entropy between the teacher's centred and sharpened
 * outputs on one global crop and the student's on every other crop, averaged over these 2C - 2 pairs and the images.
 * A mean over images, so groups make no difference; the center takes the rows of all groups.
 *
 * @throws SslError `SHAPE_MISMATCH`; `BAD_OPTION` with a single crop
 *
 * @example
 * const { loss, center } = dinoLoss({ student, teacher, center: state.center, teacherTemperature: 0.04 });
 */
export function dinoLoss(input: DinoLossInput): DinoLossOutput {
  const { student, teacher, center, teacherTemperature, studentTemperature = STUDENT_TEMPERATURE } = input;
  const { centerMomentum = CENTER_MOMENTUM } = input;
  return tf.tidy(() => {
    const targets = softmaxTargets(teacher, center, teacherTemperature);
    return {
      loss: dinoCrossEntropy(student, targets, studentTemperature),
      center: updateCenter(center, teacher, centerMomentum),
      targets,
    };
  });
}

/**
 * The loss of {@link dinoLoss} for targets made elsewhere, e.g. in a first pass of gradient accumulation.
 *
 * @param student - `[C, B, K]`, float32 logits, global crops first.
 * @param targets - `[G, B, K]`, float32 distributions of the G global crops.
 * @returns float32 scalar: mean over the G (C - 1) pairs of different crops
 * @throws SslError `SHAPE_MISMATCH`; `BAD_OPTION` with a single crop
 */
export function dinoCrossEntropy(
  student: tf.Tensor,
  targets: tf.Tensor,
  temperature: ScalarLike = STUDENT_TEMPERATURE,
): tf.Scalar {
  return tf.tidy(() => {
    const pairs = pairwiseCrossEntropy(student, targets, temperature);
    const [crops, globals] = pairs.shape;
    checkCrops('ema-distill.dinoCrossEntropy', crops, globals);
    return tf.div<tf.Scalar>(tf.sum(differentCrops(pairs)), globals * (crops - 1));
  });
}

/** @throws SslError `BAD_OPTION` if the student lacks a second crop or one of the teacher's */
export function checkCrops(where: string, crops: number, globals: number): void {
  if (crops >= 2 && crops >= globals) return;
  throw new SslError('BAD_OPTION', {
    where,
    expected: 'at least two student crops, those of the teacher first',
    got: `${crops} of the student, ${globals} of the teacher`,
    fix: 'pass the student outputs of the global crops too',
    details: { crops, globals },
  });
}

/** Pairs `[C, G]` with those of a crop with itself set to 0. */
export function differentCrops(pairs: tf.Tensor2D): tf.Tensor2D {
  const [crops, globals] = pairs.shape;
  const same = Array.from({ length: crops * globals }, (_, i) => (Math.floor(i / globals) === i % globals ? 0 : 1));
  return tf.mul(pairs, tf.tensor2d(same, [crops, globals]));
}
