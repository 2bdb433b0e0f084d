import { patchCosineLoss, simDinoLoss } from '@selfsup/loss-coding-rate';
import * as tf from '@tensorflow/tfjs-core';
import type { SimDinoV2Config } from '../config/types.js';
import type { MaskedMethod } from '../second-generation/method.js';

/** SimDINOv2's loss: SimDINO's for CLS tokens, with plain dot products, and the alignment of masked patches. */
export function simdinov2Method({
  loss,
  groups,
  batchSize: referenceBatch,
}: Pick<SimDinoV2Config, 'loss' | 'groups' | 'batchSize'>): MaskedMethod {
  const { clsWeight, patchWeight, ...codingRate } = loss;
  return {
    state: {},
    batch: {},
    scalars: () => ({}),
    learnsFrom: ['cls', 'patches'],
    separable: loss.covariance === 'per-group' ? 'groups' : 'batch',
    jointTargets: false,
    terms: ['compression', 'expansion'],
    diagnosed: 'cls',
    objective: ({ student, teacher, weights }) => {
      const image = simDinoLoss(
        { student: student.cls, teacher: teacher.cls },
        { ...codingRate, similarity: 'dot', groups, referenceBatch },
      );
      const patch = patchCosineLoss({
        student: student.patches,
        teacher: teacher.patches,
        weights,
        crops: 2 * student.cls.shape[1],
      });
      return {
        loss: tf.add(tf.mul(image.loss, clsWeight), tf.mul(patch, patchWeight)) as tf.Scalar,
        parts: { compression: image.compression, expansion: image.expansion, patch },
      };
    },
  };
}
