import type { NamedTensors, Step } from '@selfsup/compile';
import type { Specs } from '@selfsup/core';
import { emaUpdate } from '@selfsup/ema-distill';
import { stopGradient } from '@selfsup/ops';
import { adamW, adamWScalarsSpec, clipScalesPerTensor, type ParameterGroups } from '@selfsup/optim';
import * as tf from '@tensorflow/tfjs-core';
import type { RecipeConfig } from '../config/types.js';
import { cropSets, multiCropFeatures } from './crops.js';
import { prefixed, under, type Networks } from './networks.js';

/** What a method says about one batch of features. */
export interface Objective {
  readonly loss: tf.Scalar;
  /** Named parts for the log, scalars. */
  readonly parts: NamedTensors;
}

/** A self-distillation method: how student features `[C, B, d]` and targets `[2, B, d]` become a loss. */
export interface Method {
  objective(student: tf.Tensor3D, teacher: tf.Tensor3D): Objective;
}

/** Names of the metrics every distillation step returns besides the method's parts. */
export const FINITE = 'finite';

export interface DistillationOptions {
  readonly config: RecipeConfig;
  readonly networks: Networks;
  readonly groups: ParameterGroups;
  readonly method: Method;
}

/**
 * One training step: teacher forward, student forward, loss, gradients, clipping per tensor, AdamW, EMA (the order of
 * `train_one_epoch` in DINO and SimDINO). Pure; everything random and everything scheduled is in the batch.
 *
 * State: `student.*`, `teacher.*` (EMA teachers only), `adam.m.*`, `adam.v.*`.
 * Batch: `crops.global`, `crops.local`, `keep.<set>.blocks.N`, `adamw`, `momentum`, `oneMinusMomentum`.
 * Metrics: `loss`, the method's parts, `gradientNorms` [parameters, in the order of the specs], `features` [B, d] of the
 * first view, `termGradientNorms` [parts], `finite`.
 */
export function distillationStep({ config, networks, groups, method }: DistillationOptions): Step {
  const { policy } = config.teacher;
  const names = Object.keys(networks.specs);
  return (state, batch) => {
    const student = under('student.', state);
    const sets = cropSets(batch);
    const batchSize = sets[0].images.shape[0] / 2;
    const teacherFeatures =
      policy === 'ema'
        ? multiCropFeatures(networks, under('teacher.', state), [{ images: sets[0].images }], batchSize)
        : undefined;
    const targetsOf = (z: tf.Tensor3D): tf.Tensor3D => {
      if (teacherFeatures !== undefined) return teacherFeatures;
      const views = tf.slice(z, [0, 0, 0], [2, -1, -1]);
      return policy === 'none' ? views : stopGradient(views);
    };

    let features = undefined as tf.Tensor3D | undefined;
    let parts: NamedTensors = {};
    const { value: loss, grads } = tf.valueAndGrads((...values: tf.Tensor[]) => {
      const parameters = Object.fromEntries(names.map((name, i) => [name, values[i]]));
      features = tf.keep(multiCropFeatures(networks, parameters, sets, batchSize));
      const objective = method.objective(features, targetsOf(features));
      parts = Object.fromEntries(Object.entries(objective.parts).map(([name, part]) => [name, tf.keep(part)]));
      return objective.loss;
    })(names.map((name) => student[name]));
    const gradients = Object.fromEntries(names.map((name, i) => [name, grads[i]]));

    const { norms, scales } = clipScalesPerTensor(gradients, config.optimizer.clipNorm);
    const gradientNorms = tf.stack(names.map((name) => norms[name]));
    const next = adamW({
      params: student,
      grads: gradients,
      m: under('adam.m.', state),
      v: under('adam.v.', state),
      groups,
      scalars: batch['adamw'],
      gradientScales: scales,
    });
    const kept = features as tf.Tensor3D;
    const metrics = {
      loss,
      ...Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, tf.clone(part)])),
      gradientNorms,
      features: tf.reshape(tf.slice(kept, [0, 0, 0], [1, -1, -1]), [batchSize, kept.shape[2]]),
      termGradientNorms: termGradientNorms(method, kept, targetsOf(kept), Object.keys(parts)),
      [FINITE]: tf.isFinite(tf.add(loss, tf.sum(gradientNorms))),
    };
    tf.dispose([kept, parts]);
    return {
      state: {
        ...prefixed('student.', next.params),
        ...prefixed('adam.m.', next.m),
        ...prefixed('adam.v.', next.v),
        ...(policy === 'ema'
          ? prefixed(
              'teacher.',
              emaUpdate(under('teacher.', state), next.params, batch['momentum'], batch['oneMinusMomentum']),
            )
          : {}),
      },
      metrics,
    };
  };
}

/** Norm of the gradient of each part for the student's features: what the parts pull at, against each other. */
function termGradientNorms(method: Method, features: tf.Tensor3D, targets: tf.Tensor3D, names: string[]): tf.Tensor1D {
  const norms = names.map((name) => {
    const gradient = tf.grad((z) => method.objective(z as tf.Tensor3D, targets).parts[name])(features);
    return tf.sqrt(tf.sum(tf.square(gradient)));
  });
  return tf.stack(norms) as tf.Tensor1D;
}

/** State of a run: names, shapes, types. */
export function stateSpecs(config: RecipeConfig, { specs }: Networks, groups: ParameterGroups): Specs {
  const moments = Object.fromEntries(Object.entries(specs).filter(([name]) => name in groups.groupOf));
  return {
    ...prefixed('student.', specs),
    ...(config.teacher.policy === 'ema' ? prefixed('teacher.', specs) : {}),
    ...prefixed('adam.m.', moments),
    ...prefixed('adam.v.', moments),
  };
}

/** Batch of a step: names, shapes, types. */
export function batchSpecs(
  config: RecipeConfig,
  { backbone }: Networks,
  groups: ParameterGroups,
  dropped: readonly string[],
): Specs {
  const { batchSize, crops } = config;
  const sets = {
    global: { count: 2, size: crops.global.size },
    local: { count: crops.local.count, size: crops.local.size },
  };
  const specs: Record<string, Specs[string]> = {};
  for (const [kind, { count, size }] of Object.entries(sets)) {
    if (count === 0) continue;
    const rows = count * batchSize;
    specs[`crops.${kind}`] = { shape: [rows, size, size, backbone.config.channels], dtype: 'u8' };
    for (const block of dropped) specs[`keep.${kind}.${block}`] = { shape: [2, rows], dtype: 'f32' };
  }
  return {
    ...specs,
    adamw: adamWScalarsSpec(groups),
    momentum: { shape: [], dtype: 'f32' },
    oneMinusMomentum: { shape: [], dtype: 'f32' },
  };
}
