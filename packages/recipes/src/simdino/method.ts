import { simDinoLoss } from '@selfsup/loss-coding-rate';
import type { RecipeConfig } from '../config/types.js';
import type { Method } from '../training/distillation-step.js';

/** SimDINO's loss as a method of the distillation step: alignment of views against the coding rate of the global ones. */
export function simDinoMethod({ loss, groups }: Pick<RecipeConfig, 'loss' | 'groups'>): Method {
  return {
    objective: (student, teacher) => {
      const {
        loss: total,
        compression,
        expansion,
      } = simDinoLoss({ student, teacher }, { ...loss, similarity: 'cosine', groups });
      return { loss: total, parts: { compression, expansion } };
    },
  };
}
