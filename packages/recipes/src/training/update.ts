import type { NamedTensors } from '@selfsup/compile';
import type { Specs } from '@selfsup/core';
import { emaUpdate } from '@selfsup/ema-distill';
import { adamW, adamWScalarsSpec, type ClipScales } from '@selfsup/optim';
import * as tf from '@tensorflow/tfjs-core';
import type { SelfDistillationConfig } from '../config/types.js';
import { prefixed, under, type TrainedNetworks } from './networks.js';

/** Name of the metric that says whether loss and gradients are finite; the engine keeps the old state when it is not. */
export const FINITE = 'finite';

/** Scheduled scalars that an update of the student takes. */
export function studentBatchSpecs({ groups }: TrainedNetworks): Specs {
  return { adamw: adamWScalarsSpec(groups) };
}

/** Scheduled scalars that an update of student and teacher takes. */
export function updateBatchSpecs(networks: TrainedNetworks): Specs {
  const scalar = { shape: [], dtype: 'f32' } as const;
  return { ...studentBatchSpecs(networks), momentum: scalar, oneMinusMomentum: scalar };
}

/** Names, shapes and types of the student and AdamW's moments. */
export function studentStateSpecs({ specs, groups }: TrainedNetworks): Specs {
  const moments = Object.fromEntries(Object.entries(specs).filter(([name]) => name in groups.groupOf));
  return { ...prefixed('student.', specs), ...prefixed('adam.m.', moments), ...prefixed('adam.v.', moments) };
}

/** The same and the teacher (EMA teachers only). */
export function networkStateSpecs(config: SelfDistillationConfig, networks: TrainedNetworks): Specs {
  return {
    ...studentStateSpecs(networks),
    ...(config.teacher.policy === 'ema' ? prefixed('teacher.', networks.specs) : {}),
  };
}

/** Those of {@link networkStateSpecs} whose names start with one of the prefixes, e.g. `student.backbone.`. */
export function networkStateUnder(
  prefixes: readonly string[],
  config: SelfDistillationConfig,
  networks: TrainedNetworks,
): Specs {
  const all = Object.entries(networkStateSpecs(config, networks));
  return Object.fromEntries(all.filter(([name]) => prefixes.some((prefix) => name.startsWith(prefix))));
}

/** What an update makes of state and gradients. */
export interface Updated {
  readonly state: NamedTensors;
  /** `gradientNorms` before clipping, and whether all is finite. */
  readonly metrics: NamedTensors;
}

/**
 * Clipping and AdamW.
 *
 * @param clipped - norms of the gradients and what to scale them by
 * @param normNames - order of the norms in the metrics
 * @returns new state, metrics, and the new parameters without prefix
 */
export function updateStudent(
  { groups }: TrainedNetworks,
  gradients: NamedTensors,
  { norms, scales }: ClipScales,
  normNames: readonly string[],
  loss: tf.Tensor,
  state: NamedTensors,
  batch: NamedTensors,
): Updated & { readonly parameters: NamedTensors } {
  const gradientNorms = tf.stack(normNames.map((name) => norms[name]));
  const next = adamW({
    params: under('student.', state),
    grads: gradients,
    m: under('adam.m.', state),
    v: under('adam.v.', state),
    groups,
    scalars: batch['adamw'],
    gradientScales: scales,
  });
  return {
    parameters: next.params,
    state: { ...prefixed('student.', next.params), ...prefixed('adam.m.', next.m), ...prefixed('adam.v.', next.v) },
    metrics: { gradientNorms, [FINITE]: tf.isFinite(tf.add(loss, tf.sum(gradientNorms))) },
  };
}

/** {@link updateStudent}, then the teacher's EMA: what every self-distillation does after the backward pass. */
export function updateNetworks(
  config: SelfDistillationConfig,
  networks: TrainedNetworks,
  gradients: NamedTensors,
  clipped: ClipScales,
  normNames: readonly string[],
  loss: tf.Tensor,
  state: NamedTensors,
  batch: NamedTensors,
): Updated {
  const next = updateStudent(networks, gradients, clipped, normNames, loss, state, batch);
  const teacher =
    config.teacher.policy === 'ema'
      ? emaUpdate(under('teacher.', state), next.parameters, batch['momentum'], batch['oneMinusMomentum'])
      : {};
  return { state: { ...next.state, ...prefixed('teacher.', teacher) }, metrics: next.metrics };
}

/** Parameters with a gradient, in the order of the specs. */
export function trainedNames({ specs, groups }: Pick<TrainedNetworks, 'specs' | 'groups'>): string[] {
  return Object.keys(specs).filter((name) => name in groups.groupOf);
}
