import type { NamedTensors } from '@selfsup/compile';
import type { Specs } from '@selfsup/core';
import { emaUpdate } from '@selfsup/ema-distill';
import { adamW, adamWScalarsSpec, type ClipScales } from '@selfsup/optim';
import * as tf from '@tensorflow/tfjs-core';
import type { CommonConfig } from '../config/types.js';
import { prefixed, under, type TrainedNetworks } from './networks.js';

/** Name of the metric that says whether loss and gradients are finite; the engine keeps the old state when it is not. */
export const FINITE = 'finite';

/** Scheduled scalars that every update takes. */
export function updateBatchSpecs({ groups }: TrainedNetworks): Specs {
  const scalar = { shape: [], dtype: 'f32' } as const;
  return { adamw: adamWScalarsSpec(groups), momentum: scalar, oneMinusMomentum: scalar };
}

/** Names, shapes and types of student, teacher (EMA teachers only) and AdamW's moments. */
export function networkStateSpecs(config: CommonConfig, { specs, groups }: TrainedNetworks): Specs {
  const moments = Object.fromEntries(Object.entries(specs).filter(([name]) => name in groups.groupOf));
  return {
    ...prefixed('student.', specs),
    ...(config.teacher.policy === 'ema' ? prefixed('teacher.', specs) : {}),
    ...prefixed('adam.m.', moments),
    ...prefixed('adam.v.', moments),
  };
}

/**
 * Clipping, AdamW, EMA: what every method does after the backward pass.
 *
 * @param clipped - norms of the gradients and what to scale them by
 * @param normNames - order of the norms in the metrics
 * @returns new state, the gradients' norms before clipping and whether all is finite
 */
export function updateNetworks(
  config: CommonConfig,
  { groups }: TrainedNetworks,
  gradients: NamedTensors,
  { norms, scales }: ClipScales,
  normNames: readonly string[],
  loss: tf.Tensor,
  state: NamedTensors,
  batch: NamedTensors,
): { state: NamedTensors; metrics: NamedTensors } {
  const gradientNorms = tf.stack(normNames.map((name) => norms[name]));
  const student = under('student.', state);
  const next = adamW({
    params: student,
    grads: gradients,
    m: under('adam.m.', state),
    v: under('adam.v.', state),
    groups,
    scalars: batch['adamw'],
    gradientScales: scales,
  });
  const teacher =
    config.teacher.policy === 'ema'
      ? emaUpdate(under('teacher.', state), next.params, batch['momentum'], batch['oneMinusMomentum'])
      : {};
  return {
    state: {
      ...prefixed('student.', next.params),
      ...prefixed('adam.m.', next.m),
      ...prefixed('adam.v.', next.v),
      ...prefixed('teacher.', teacher),
    },
    metrics: { gradientNorms, [FINITE]: tf.isFinite(tf.add(loss, tf.sum(gradientNorms))) },
  };
}

/** Parameters with a gradient, in the order of the specs. */
export function trainedNames({ specs, groups }: Pick<TrainedNetworks, 'specs' | 'groups'>): string[] {
  return Object.keys(specs).filter((name) => name in groups.groupOf);
}
