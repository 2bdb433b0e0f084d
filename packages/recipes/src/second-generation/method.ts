import type { NamedTensors } from '@selfsup/compile';
import type { HostArrays, Specs } from '@selfsup/core';
import type { Dinov2Schedules } from '@selfsup/optim';
import type * as tf from '@tensorflow/tfjs-core';
import type { Objective } from '../training/method.js';

/** What the student makes of a batch of n images. A type alias, so that it is a record of tensors for `tf.tidy`. */
export type StudentOutputs = {
  /** Head outputs of CLS tokens, `[C, n, K]`: masked global views first, then local ones. */
  readonly cls: tf.Tensor3D;
  /** CLS tokens of the global views before the head, `[2, n, D]`. */
  readonly tokens: tf.Tensor3D;
  /** Head outputs of masked patches, `[M, K']`, padded with rows of weight 0. */
  readonly patches: tf.Tensor2D;
};

/** What the teacher makes of the unmasked global views. */
export type TeacherOutputs = {
  /** `[2, n, K]`. */
  readonly cls: tf.Tensor3D;
  /** At the places the student has masked, `[M, K']`. */
  readonly patches: tf.Tensor2D;
};

/** Everything a loss looks at. */
export interface MaskedViews {
  readonly student: StudentOutputs;
  readonly teacher: TeacherOutputs;
  /** `[M]`: one over the masked patches of a row's view, 0 for padding. */
  readonly weights: tf.Tensor1D;
}

/** What sets DINOv2 and SimDINOv2 apart inside the same training step. Everything in it is pure. */
export interface MaskedMethod {
  /** Extra state, e.g. `center.cls`, zero at the start. */
  readonly state: Specs;
  /** Extra scalars of a step. */
  readonly batch: Specs;
  /** Values of `batch` for a step, computed in float64 on the host. */
  scalars(step: number, schedules: Dinov2Schedules): HostArrays;
  /** Student outputs the loss depends on. */
  readonly learnsFrom: readonly (keyof StudentOutputs)[];
  /** Names of the parts whose gradients are weighed against each other in the log; none: nothing is weighed. */
  readonly terms: readonly string[];
  objective(views: MaskedViews, state: NamedTensors, batch: NamedTensors): Objective;
  /**
   * Extra state after a step. Left out: there is none.
   *
   * @param centerWeights - `[M]`: weights of the patches' mean, see `maskedPatches`
   */
  nextState?(teacher: TeacherOutputs, centerWeights: tf.Tensor1D, state: NamedTensors): NamedTensors;
  /** Features the log looks at: head outputs, or CLS tokens where outputs are thousands of logits. */
  readonly diagnosed: 'cls' | 'tokens';
}
