import type { NamedTensors } from '@selfsup/compile';
import type { HostArrays, Specs } from '@selfsup/core';
import type * as tf from '@tensorflow/tfjs-core';
import type { RunLength } from './schedules.js';

/** Head outputs of a batch of images, crop-major. */
export interface ViewOutputs {
  /** `[C, B, d]`: global views first. */
  readonly student: tf.Tensor3D;
  /** `[2, B, d]`. */
  readonly teacher: tf.Tensor3D;
}

/** What a method says about a batch. */
export interface Objective {
  /** What is minimised. */
  readonly loss: tf.Scalar;
  /** Named scalars for the log. */
  readonly parts: NamedTensors;
}

/**
 * A self-distillation method: what sets DINO and SimDINO apart inside the same training step. Everything in it is pure;
 * what a method remembers between steps is state, what changes with the step number is batch.
 */
export interface Method {
  /** Extra state, e.g. `center.cls`, zero at the start. */
  readonly state: Specs;
  /** Extra scalars of a step. */
  readonly batch: Specs;
  /** Values of `batch` for a step, computed in float64 on the host. */
  scalars(step: number, length: RunLength): HostArrays;
  /** Names of the parts whose gradients are weighed against each other in the log; none: nothing is weighed. */
  readonly terms: readonly string[];
  objective(views: ViewOutputs, state: NamedTensors, batch: NamedTensors): Objective;
  /**
   * Extra state after a step, from the teacher outputs of all images. Left out: there is none.
   *
   * @param teacherMean - `[1, d]`, mean over all rows of both global views
   */
  nextState?(teacherMean: tf.Tensor2D, state: NamedTensors): NamedTensors;
  /**
   * Whether the loss is a mean over images: then parts of a batch can be computed one by one. Otherwise gradients of a
   * part need the features of its whole group.
   */
  readonly perImage: boolean;
  /** Features the log looks at: head outputs, or CLS tokens where outputs are thousands of logits. */
  readonly diagnosed: 'outputs' | 'cls';
}
