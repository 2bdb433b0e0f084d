import { simDinoLoss } from '@selfsup/loss-coding-rate';
import type { SimDinoConfig } from '../config/types.js';
import type { Method } from '../training/method.js';

/** SimDINO's loss: alignment of views against the coding rate of the global ones. */
export function simDinoMethod({
  loss,
  groups,
  batchSize: referenceBatch,
  teacher,
}: Pick<SimDinoConfig, 'loss' | 'groups' | 'batchSize' | 'teacher'>): Method {
  const targetGradient = teacher.policy === 'none' ? 'flow' : 'stop';
  return {
    state: {},
    batch: {},
    scalars: () => ({}),
    terms: ['compression', 'expansion'],
    separable: loss.covariance === 'per-group' ? 'groups' : 'batch',
    diagnosed: 'outputs',
    objective: (views) => {
      const {
        loss: total,
        compression,
        expansion,
      } = simDinoLoss(views, { ...loss, similarity: 'cosine', groups, referenceBatch, targetGradient });
      return { loss: total, parts: { compression, expansion } };
    },
  };
}
