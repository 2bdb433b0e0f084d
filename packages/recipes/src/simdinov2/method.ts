import { patchCosineLoss, simDinoLoss } from '@selfsup/loss-coding-rate';
import * as tf from '@tensorflow/tfjs-core';
import type { SimDinoV2Config } from '../config/types.js';
import { jointObjective, type JointTerm } from '../second-generation/joint-term.js';
import type { MaskedMethod } from '../second-generation/method.js';

/** SimDINOv2's loss: SimDINO's for CLS tokens, with plain dot products, and the alignment of masked patches. */
export function simdinov2Method({
  loss,
  groups,
  batchSize: referenceBatch,
}: Pick<SimDinoV2Config, 'loss' | 'groups' | 'batchSize'>): MaskedMethod {
  const { clsWeight, patchWeight, ...codingRate } = loss;
  const joint: JointTerm = {
    of: 'cls',
    span: loss.covariance === 'per-group' ? 'groups' : 'batch',
    weighed: true,
    parts: ['compression', 'expansion'],
    objective(student, teacher) {
      const views = { student, teacher: teacher as tf.Tensor3D };
      const { loss: value, ...parts } = simDinoLoss(views, {
        ...codingRate,
        similarity: 'dot',
        groups,
        referenceBatch,
      });
      return { loss: value, parts };
    },
  };
  return {
    state: {},
    batch: {},
    scalars: () => ({}),
    joint,
    jointTargets: false,
    diagnosed: 'cls',
    objective: (views, _state, batch) => {
      const { student, teacher, weights } = views;
      const image = jointObjective(joint, views, batch);
      const patch = patchCosineLoss({
        student: student.patches,
        teacher: teacher.patches,
        weights,
        crops: 2 * student.cls.shape[1],
      });
      return {
        loss: tf.add(tf.mul(image.loss, clsWeight), tf.mul(patch, patchWeight)) as tf.Scalar,
        parts: { ...image.parts, patch },
      };
    },
  };
}
