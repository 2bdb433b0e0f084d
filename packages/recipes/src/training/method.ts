import type { NamedTensors } from '@selfsup/compile';
import type { HostArrays, Specs } from '@selfsup/core';
import type * as tf from '@tensorflow/tfjs-core';
import type { CommonConfig } from '../config/types.js';
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
 * Which parts of a batch have a loss of their own, the mean of which is the loss of the batch: any images, whole groups,
 * or none. Where a part has none, its gradient needs the outputs of all images.
 */
export type Separable = 'images' | 'groups' | 'batch';

/** Whether so many neighbouring images, a part of the batch, are whole groups. */
export const areWholeGroups = (
  { batchSize, groups }: Pick<CommonConfig, 'batchSize' | 'groups'>,
  images: number,
): boolean => images % (batchSize / groups) === 0;

/** Whether the parts of an accumulated step stand alone, and a configuration for the groups of one of them. */
export function partConfig<C extends CommonConfig>(config: C, separable: Separable): C | undefined {
  const { accumulate, batchSize, groups } = config;
  if (separable === 'images') return { ...config, groups: 1 };
  const alone = separable === 'groups' && areWholeGroups(config, batchSize / accumulate);
  return alone ? { ...config, groups: groups / accumulate } : undefined;
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
  readonly separable: Separable;
  /** Features the log looks at: head outputs, or CLS tokens where outputs are thousands of logits. */
  readonly diagnosed: 'outputs' | 'cls';
}
