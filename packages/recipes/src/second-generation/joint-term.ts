import type { NamedTensors } from '@selfsup/compile';
import { withGradient } from '@selfsup/ops';
import * as tf from '@tensorflow/tfjs-core';
import type { Objective } from '../training/method.js';
import { under } from '../training/networks.js';
import type { MaskedViews } from './method.js';

/** A term of a loss that looks at several images at once. */
export interface JointTerm {
  /** What it is a function of: head outputs of all views beside the teacher's; or the student's CLS tokens alone. */
  readonly of: 'cls' | 'tokens';
  /** At which: at those of a group, or at the whole batch. */
  readonly span: 'groups' | 'batch';
  /** Names of its scalars for the log. */
  readonly parts: readonly string[];
  /** Whether the log weighs the gradients of these scalars against each other. */
  readonly weighed: boolean;
  /**
   * @param student - `[C, n, K]` for `cls`, `[2, n, D]` for `tokens`
   * @param teacher - `[2, n, K]`; for `cls` alone
   */
  objective(student: tf.Tensor3D, teacher?: tf.Tensor3D): Objective;
}

/** Names of the arrays that {@link jointObjective} takes instead of computing the term. */
export const JOINT_ARRAYS = {
  /** The term's value for all images, a scalar. */
  loss: 'joint.loss',
  /**
   * Its gradient for the student's outputs of this part, `[C n, K]` or `[2 n, D]`, times the number of parts: the step
   * takes a mean over them.
   */
  gradient: 'joint.gradient',
  /** Prefix of its named scalars for the log. */
  part: 'joint.part.',
} as const;

/** Whether the term is known already: this is a part of a step that could not compute it. */
export const isTermKnown = (batch: NamedTensors): boolean => JOINT_ARRAYS.loss in batch;

/** The term for the images at hand; or its value and gradient for all of the step, if given: {@link JOINT_ARRAYS}. */
export function jointObjective(term: JointTerm, { student, teacher }: MaskedViews, batch: NamedTensors): Objective {
  const outputs = student[term.of];
  if (!isTermKnown(batch)) return term.objective(outputs, teacher.cls);
  const loss = withGradient<tf.Scalar>([outputs], () => ({
    value: tf.clone(batch[JOINT_ARRAYS.loss]) as tf.Scalar,
    saved: [batch[JOINT_ARRAYS.gradient]],
    gradient: (dy, [gradient]) => [tf.mul(dy, tf.reshape(gradient, outputs.shape))],
  }));
  const parts = Object.entries(under(JOINT_ARRAYS.part, batch)).map(
    ([name, value]) => [name, tf.clone(value)] as const,
  );
  return { loss, parts: Object.fromEntries(parts) };
}
