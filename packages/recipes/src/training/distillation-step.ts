import type { NamedTensors, Step } from '@selfsup/compile';
import type { Specs } from '@selfsup/core';
import { stopGradient } from '@selfsup/ops';
import { clipScalesPerTensor } from '@selfsup/optim';
import * as tf from '@tensorflow/tfjs-core';
import type { FirstGenerationConfig } from '../config/types.js';
import { cropSets, cropSpecs, multiCropOutputs, type CropOutputs, type CropSet } from './crops.js';
import type { Method } from './method.js';
import { under, type Networks } from './networks.js';
import { networkStateSpecs, trainedNames, updateBatchSpecs, updateNetworks } from './update.js';

export interface DistillationOptions {
  readonly config: FirstGenerationConfig;
  readonly networks: Networks;
  readonly method: Method;
}

/** Teacher outputs `[2, B, d]` of the global views; undefined where the student is its own teacher. */
export function teacherOutputs(
  { config, networks }: DistillationOptions,
  state: NamedTensors,
  sets: readonly CropSet[],
  batchSize: number,
): tf.Tensor3D | undefined {
  if (config.teacher.policy !== 'ema') return undefined;
  return multiCropOutputs(networks, under('teacher.', state), [{ images: sets[0].images }], batchSize).outputs;
}

/** Targets for student outputs: the teacher's, or the student's own global views. */
export function targetsFor(
  { config }: DistillationOptions,
  outputs: tf.Tensor3D,
  teacher: tf.Tensor3D | undefined,
): tf.Tensor3D {
  if (teacher !== undefined) return teacher;
  const views = tf.slice(outputs, [0, 0, 0], [2, -1, -1]);
  return config.teacher.policy === 'none' ? views : stopGradient(views);
}

/**
 * Value and gradients of a loss over the student's outputs. `loss` may also be a surrogate whose gradient is wanted.
 *
 * @returns kept tensors: dispose them
 */
export function studentGradients(
  { networks }: DistillationOptions,
  state: NamedTensors,
  sets: readonly CropSet[],
  batchSize: number,
  loss: (outputs: tf.Tensor3D) => tf.Scalar,
): { loss: tf.Scalar; gradients: NamedTensors; student: CropOutputs } {
  const student = under('student.', state);
  const names = trainedNames(networks);
  let kept = undefined as CropOutputs | undefined;
  const { value, grads } = tf.valueAndGrads((...values: tf.Tensor[]) => {
    const parameters = { ...student, ...Object.fromEntries(names.map((name, i) => [name, values[i]])) };
    const outputs = multiCropOutputs(networks, parameters, sets, batchSize);
    kept = { outputs: tf.keep(outputs.outputs), cls: tf.keep(outputs.cls) };
    return loss(outputs.outputs);
  })(names.map((name) => student[name]));
  return {
    loss: value as tf.Scalar,
    gradients: Object.fromEntries(names.map((name, i) => [name, grads[i]])),
    student: kept as CropOutputs,
  };
}

/** What the log looks at: features of the first view, and what the terms of the loss pull at. */
export function diagnostics(
  { method }: DistillationOptions,
  student: CropOutputs,
  targets: tf.Tensor3D,
  state: NamedTensors,
  batch: NamedTensors,
): NamedTensors {
  const { outputs, cls } = student;
  const [, batchSize, width] = outputs.shape;
  const features =
    method.diagnosed === 'outputs'
      ? tf.reshape(tf.slice(outputs, [0, 0, 0], [1, -1, -1]), [batchSize, width])
      : tf.slice(cls, [0, 0], [batchSize, -1]);
  if (method.terms.length === 0) return { features };
  const norms = method.terms.map((name) => {
    const gradient = tf.grad(
      (z) => method.objective({ student: z as tf.Tensor3D, teacher: targets }, state, batch).parts[name],
    )(outputs);
    return tf.sqrt(tf.sum(tf.square(gradient)));
  });
  return { features, termGradientNorms: tf.stack(norms) };
}

/** Clipping per tensor, AdamW, EMA; norms are those of the trained parameters. */
export function updateClipped(
  { config, networks }: DistillationOptions,
  gradients: NamedTensors,
  loss: tf.Tensor,
  state: NamedTensors,
  batch: NamedTensors,
): ReturnType<typeof updateNetworks> {
  const clipped = clipScalesPerTensor(gradients, config.optimizer.clipNorm);
  return updateNetworks(config, networks, gradients, clipped, trainedNames(networks), loss, state, batch);
}

/** Mean over all rows of both global views, `[1, d]`. */
export function meanRow(targets: tf.Tensor3D): tf.Tensor2D {
  return tf.mean(tf.reshape(targets, [-1, targets.shape[2]]), 0, true);
}

/** Loss, gradients and the numbers for the log of a batch, or of a part of it that stands alone. */
export function batchGradients(
  options: DistillationOptions,
  state: NamedTensors,
  batch: NamedTensors,
): { readonly gradients: NamedTensors; readonly metrics: NamedTensors; readonly teacherMean: tf.Tensor2D } {
  const { method } = options;
  const sets = cropSets(batch);
  const batchSize = sets[0].images.shape[0] / 2;
  const teacher = teacherOutputs(options, state, sets, batchSize);
  let parts: NamedTensors = {};
  const { loss, gradients, student } = studentGradients(options, state, sets, batchSize, (outputs) => {
    const objective = method.objective(
      { student: outputs, teacher: targetsFor(options, outputs, teacher) },
      state,
      batch,
    );
    parts = Object.fromEntries(Object.entries(objective.parts).map(([name, part]) => [name, tf.keep(part)]));
    return objective.loss;
  });
  const targets = targetsFor(options, student.outputs, teacher);
  const teacherMean = meanRow(targets);
  const metrics = {
    loss,
    ...Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, tf.clone(part)])),
    ...diagnostics(options, student, targets, state, batch),
  };
  tf.dispose([parts, student]);
  return { gradients, metrics, teacherMean };
}

/**
 * One training step: teacher forward, student forward, loss, gradients, clipping per tensor, AdamW, EMA (the order of
 * `train_one_epoch` in DINO and SimDINO). Pure; everything random and everything scheduled is in the batch.
 *
 * State: `student.*`, `teacher.*` (EMA teachers only), `adam.m.*`, `adam.v.*`, and the method's.
 * Batch: `crops.global`, `crops.local`, `keep.<set>.blocks.N`, `adamw`, `momentum`, `oneMinusMomentum`, and the method's.
 * Metrics: `loss`, the method's parts, `gradientNorms` [trained parameters], `features` [B, width] of the first view,
 * `termGradientNorms` [terms], `finite`.
 */
export function distillationStep(options: DistillationOptions): Step {
  const { method } = options;
  return (state, batch) => {
    const { gradients, metrics, teacherMean } = batchGradients(options, state, batch);
    const update = updateClipped(options, gradients, metrics['loss'], state, batch);
    return {
      state: { ...update.state, ...method.nextState?.(teacherMean, state) },
      metrics: { ...metrics, ...update.metrics },
    };
  };
}

/** State of a run: names, shapes, types. */
export function stateSpecs({ config, networks, method }: DistillationOptions): Specs {
  return { ...networkStateSpecs(config, networks), ...method.state };
}

/** Batch of a step: names, shapes, types. */
export function batchSpecs({ config, networks, method }: DistillationOptions): Specs {
  return {
    ...cropSpecs(config, networks.backbone.config, config.batchSize),
    ...updateBatchSpecs(networks),
    ...method.batch,
  };
}
