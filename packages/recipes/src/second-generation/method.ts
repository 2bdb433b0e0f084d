import type { NamedTensors } from '@selfsup/compile';
import type { HostArrays, Specs } from '@selfsup/core';
import type { SinkhornFactors } from '@selfsup/ema-distill';
import type { Dinov2Schedules } from '@selfsup/optim';
import type * as tf from '@tensorflow/tfjs-core';
import type { Objective } from '../training/method.js';
import { under } from '../training/networks.js';
import type { JointTerm } from './joint-term.js';

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

/** Means of the teacher's outputs over a batch, for what a method remembers. */
export type TeacherMeans = {
  /** `[1, K]`. */
  readonly cls: tf.Tensor2D;
  /** `[1, K']`, weighed as `maskedPatches` says; zeros where nothing is masked. */
  readonly patches: tf.Tensor2D;
  /** `[1]`: sum of these weights, 1 or 0. */
  readonly masked: tf.Tensor1D;
};

/** Kinds of teacher outputs. */
export const OUTPUT_KINDS = ['cls', 'patches'] as const;
export type OutputKind = (typeof OUTPUT_KINDS)[number];

/** Prefix of what Sinkhorn-Knopp found for a kind of outputs, in the batch of a part. */
export const sinkhornPrefix = (kind: OutputKind): string => `sinkhorn.${kind}.`;

/** Factors that were found on all images; undefined where the batch is all there is. */
export function givenFactors(kind: OutputKind, batch: NamedTensors): { readonly factors?: SinkhornFactors } {
  const factors = under(sinkhornPrefix(kind), batch);
  return Object.keys(factors).length === 0 ? {} : { factors: factors as SinkhornFactors };
}

/** What sets DINOv2 and SimDINOv2 apart inside the same training step. Everything in it is pure. */
export interface MaskedMethod {
  /** Extra state, e.g. `center.cls`, zero at the start. */
  readonly state: Specs;
  /** Extra scalars of a step. */
  readonly batch: Specs;
  /** Values of `batch` for a step, computed in float64 on the host. */
  scalars(step: number, schedules: Dinov2Schedules): HostArrays;
  /** The term that looks at several images at once; undefined where none does. All else is a mean over images. */
  readonly joint: JointTerm | undefined;
  /** Where a part of a step cannot know the joint term, it comes from the batch, see `jointObjective`. */
  objective(views: MaskedViews, state: NamedTensors, batch: NamedTensors): Objective;
  /** Extra state after a step. Left out: there is none. */
  nextState?(means: TeacherMeans, state: NamedTensors): NamedTensors;
  /**
   * Whether targets come from a look at the teacher's outputs of all images (Sinkhorn-Knopp). The objective of a part
   * then takes its findings from the batch, see {@link givenFactors}.
   */
  readonly jointTargets: boolean;
  /** Features the log looks at: head outputs, or CLS tokens where outputs are thousands of logits. */
  readonly diagnosed: 'cls' | 'tokens';
}
