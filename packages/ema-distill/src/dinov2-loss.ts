import * as tf from '@tensorflow/tfjs-core';
import { pairwiseCrossEntropy } from './cross-entropy.js';
import { checkCrops, differentCrops, STUDENT_TEMPERATURE } from './dino-loss.js';
import type { ScalarLike } from './scalars.js';

/** Input of {@link dinov2ClsLoss}. */
export interface Dinov2ClsLossInput {
  /** `[C, B, K]`, float32 logits of CLS tokens: the (masked) global crops, then the local ones. */
  readonly student: tf.Tensor;
  /**
   * `[2, B, K]`, float32 distributions of the unmasked global crops in their natural order, by {@link softmaxTargets}
   * or {@link sinkhornTargets}; receives no gradient.
   */
  readonly targets: tf.Tensor;
  /** 0.1 by default. */
  readonly studentTemperature?: ScalarLike;
}

/** A type alias, so that it is a record of tensors for `tf.tidy`. */
export type Dinov2ClsLoss = {
  /** `local + global`, float32. */
  readonly loss: tf.Scalar;
  /** Part of the local crops. */
  readonly local: tf.Scalar;
  /** Part of the global crops. */
  readonly global: tf.Scalar;
};

/**
 * DINOv2's image-level loss (`SSLMetaArch.forward_backward`): cross entropies of all pairs of different crops over
 * 2 + max(2V, 1) with V local crops. With local crops this is DINO's average; without any the authors divide by 3.
 *
 * @throws SslError `SHAPE_MISMATCH`; `BAD_OPTION` with a single crop
 *
 * @example
 * const targets = softmaxTargets(teacher, center, teacherTemperature);
 * const { loss } = dinov2ClsLoss({ student, targets });
 */
export function dinov2ClsLoss(input: Dinov2ClsLossInput): Dinov2ClsLoss {
  const { student, targets, studentTemperature = STUDENT_TEMPERATURE } = input;
  return tf.tidy(() => {
    const pairs = differentCrops(pairwiseCrossEntropy(student, targets, studentTemperature));
    const [crops, globals] = pairs.shape;
    checkCrops('ema-distill.dinov2ClsLoss', crops, globals);
    const locals = crops - globals;
    const terms = globals * (globals - 1) + Math.max(globals * locals, 1);
    const part = (start: number, count: number): tf.Scalar =>
      tf.div<tf.Scalar>(tf.sum(tf.slice(pairs, [start, 0], [count, globals])), terms);
    const global = part(0, globals);
    const local = locals === 0 ? tf.scalar(0) : part(globals, locals);
    return { loss: tf.add<tf.Scalar>(local, global), local, global };
  });
}
