import type { Specs } from '@selfsup/core';
import { prefixed, under } from '../training/networks.js';
import { CARRIED, type PartwiseStep } from '../training/partwise.js';
import { updateBatchSpecs } from '../training/update.js';
import type { TeacherMeans } from './method.js';
import { outputWidth } from './networks.js';
import { maskedStateSpecs, updateClipped, type MaskedDistillation } from './step.js';

/** The end of a step whose gradients were added up. */
export function updateOf(options: MaskedDistillation): PartwiseStep['update'] {
  const { networks, method } = options;
  const { clsHead, patchHead } = networks;
  const means: Specs = {
    cls: { shape: [1, outputWidth(clsHead)], dtype: 'f32' },
    patches: { shape: [1, outputWidth(patchHead)], dtype: 'f32' },
    masked: { shape: [1], dtype: 'f32' },
  };
  return {
    state: maskedStateSpecs(options),
    batch: {
      ...updateBatchSpecs(networks),
      loss: { shape: [], dtype: 'f32' },
      ...(method.nextState === undefined ? {} : prefixed(CARRIED, means)),
    },
    apply(gradients, state, { loss, ...batch }) {
      const { state: next, metrics } = updateClipped(options, gradients, loss, state, batch);
      return { state: { ...next, ...method.nextState?.(under(CARRIED, batch) as TeacherMeans, state) }, metrics };
    },
  };
}
