import { checkShape } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { rowCrossEntropy } from './cross-entropy.js';
import { STUDENT_TEMPERATURE } from './dino-loss.js';
import type { ScalarLike } from './scalars.js';

/** Input of {@link ibotLoss}; see {@link maskedPatches} for rows and weights. */
export interface IbotLossInput {
  /** `[M, K]`, float32 logits of the student's masked patches, then any padding. */
  readonly student: tf.Tensor;
  /** `[M, K]`, float32 distributions of the teacher's patches at the same places; receives no gradient. */
  readonly targets: tf.Tensor;
  /** `[M]`, float32: 1 / (masked patches of the row's crop), 0 for padding. */
  readonly weights: tf.Tensor;
  /** Number of global crops of all images, masked or not: 2B. */
  readonly crops: number;
  /** 0.1 by default. */
  readonly studentTemperature?: ScalarLike;
}

/**
 * iBOT's patch loss as DINOv2 has it (Zhou et al. 2022; `iBOTPatchLoss.forward_masked`): cross entropy at masked patches,
 * averaged within a crop, summed over crops and divided by their number, those without mask included. 0 with gradient 0
 * when nothing is masked.
 *
 * @returns float32 scalar
 * @throws SslError `SHAPE_MISMATCH`
 */
export function ibotLoss(input: IbotLossInput): tf.Scalar {
  const { student, targets, weights, crops, studentTemperature = STUDENT_TEMPERATURE } = input;
  const { M } = checkShape('ema-distill.ibotLoss', 'student', student, ['M', 'K']);
  checkShape('ema-distill.ibotLoss', 'weights', weights, [M]);
  return tf.tidy(() => {
    const losses = rowCrossEntropy(student, targets, studentTemperature);
    return tf.div<tf.Scalar>(tf.sum(tf.mul(losses, weights)), crops);
  });
}
