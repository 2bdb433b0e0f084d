import { simDinoLoss } from '@selfsup/loss-coding-rate';
import type { SimDinoConfig } from '../config/types.js';
import type { Method } from '../training/method.js';

/** SimDINO's loss: alignment of views against the coding rate of the global ones. */
export function simDinoMethod({ loss, groups }: Pick<SimDinoConfig, 'loss' | 'groups'>): Method {
  return {
    state: {},
    batch: {},
    scalars: () => ({}),
    terms: ['compression', 'expansion'],
    perImage: false,
    diagnosed: 'outputs',
    objective: (views) => {
      const { loss: total, compression, expansion } = simDinoLoss(views, { ...loss, similarity: 'cosine', groups });
      return { loss: total, parts: { compression, expansion } };
    },
  };
}
