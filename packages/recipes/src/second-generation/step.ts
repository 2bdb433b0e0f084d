import type { VitApplyOptions } from '@selfsup/backbone-vit';
import type { NamedTensors, Step } from '@selfsup/compile';
import type { Specs } from '@selfsup/core';
import { clipScalesPerModule } from '@selfsup/optim';
import * as tf from '@tensorflow/tfjs-core';
import type { SecondGenerationConfig } from '../config/types.js';
import { normalizeCrops, pixelSpecs } from '../training/crops.js';
import { under } from '../training/networks.js';
import { networkStateSpecs, trainedNames, updateBatchSpecs, updateNetworks } from '../training/update.js';
import { isTermKnown, type JointTerm } from './joint-term.js';
import { maskSpecs, takeMasked } from './masked-rows.js';
import type { MaskedMethod, StudentOutputs, TeacherMeans, TeacherOutputs } from './method.js';
import { applyHead, type MaskedNetworks } from './networks.js';
import { subsetsOf, subsetSpecs } from './subsets.js';

export interface MaskedDistillation {
  readonly config: SecondGenerationConfig;
  readonly networks: MaskedNetworks;
  readonly method: MaskedMethod;
}

/** Rows of CLS tokens, crop-major, as `[crops, n, width]`. */
export const perView = (rows: tf.Tensor2D, images: number): tf.Tensor3D =>
  tf.reshape(rows, [rows.shape[0] / images, images, rows.shape[1]]);

/** Parameters of the teacher; without a teacher of its own those of the student, whose outputs are constants. */
export const teacherPrefix = ({ config }: MaskedDistillation): string =>
  config.teacher.policy === 'ema' ? 'teacher.' : 'student.';

/** Tokens of the teacher on the unmasked global views: CLS, and the patches the student has masked. */
export function teacherTokens(
  { networks }: MaskedDistillation,
  parameters: NamedTensors,
  batch: NamedTensors,
): { readonly cls: tf.Tensor2D; readonly patches: tf.Tensor2D } {
  const { cls, patches } = networks.backbone.apply(
    under('backbone.', parameters),
    normalizeCrops(batch['crops.global']),
  );
  return { cls, patches: takeMasked(patches, batch) };
}

/** What the teacher makes of the unmasked global views. */
export function teacherOutputs(options: MaskedDistillation, state: NamedTensors, batch: NamedTensors): TeacherOutputs {
  const { clsHead, patchHead } = options.networks;
  const parameters = under(teacherPrefix(options), state);
  const { cls, patches } = teacherTokens(options, parameters, batch);
  return {
    cls: perView(applyHead(clsHead, parameters, cls), cls.shape[0] / 2),
    patches: applyHead(patchHead, parameters, patches),
  };
}

/** How the student takes a kind of views: masks on global ones, stochastic depth. */
function viewOptions(kind: 'global' | 'local', batch: NamedTensors): VitApplyOptions {
  const subsets = subsetsOf(kind, batch);
  return {
    ...(kind === 'global' ? { mask: batch['masks'] as tf.Tensor2D } : {}),
    ...(subsets === undefined ? {} : { subsets }),
  };
}

/** The student's CLS tokens of a kind of views, `[c n, D]`, with no patch token computed in vain. */
function studentClsTokens(
  { networks: { backbone } }: MaskedDistillation,
  parameters: NamedTensors,
  kind: 'global' | 'local',
  batch: NamedTensors,
): tf.Tensor2D {
  return backbone.applyCls(
    under('backbone.', parameters),
    normalizeCrops(batch[`crops.${kind}`]),
    viewOptions(kind, batch),
  );
}

/** Head outputs of the CLS tokens of all views, `[C, n, K]`; those of global views are given. */
function clsOutputs(
  options: MaskedDistillation,
  parameters: NamedTensors,
  globalCls: tf.Tensor2D,
  batch: NamedTensors,
): tf.Tensor3D {
  const cls =
    batch['crops.local'] === undefined
      ? globalCls
      : tf.concat2d([globalCls, studentClsTokens(options, parameters, 'local', batch)], 0);
  return perView(applyHead(options.networks.clsHead, parameters, cls), globalCls.shape[0] / 2);
}

/** The student on masked global views and unmasked local ones. */
export function studentOutputs(
  options: MaskedDistillation,
  parameters: NamedTensors,
  batch: NamedTensors,
): StudentOutputs {
  const { backbone, patchHead } = options.networks;
  const { cls, patches } = backbone.apply(
    under('backbone.', parameters),
    normalizeCrops(batch['crops.global']),
    viewOptions('global', batch),
  );
  return {
    cls: clsOutputs(options, parameters, cls, batch),
    tokens: perView(cls, cls.shape[0] / 2),
    patches: applyHead(patchHead, parameters, takeMasked(patches, batch)),
  };
}

/** `studentOutputs(...)[of]` alone, for less work; nothing is computed for patches in the last block. */
export function studentClsOutputs(
  options: MaskedDistillation,
  of: 'cls' | 'tokens',
  parameters: NamedTensors,
  batch: NamedTensors,
): tf.Tensor3D {
  const tokens = studentClsTokens(options, parameters, 'global', batch);
  return of === 'tokens' ? perView(tokens, tokens.shape[0] / 2) : clsOutputs(options, parameters, tokens, batch);
}

/**
 * Value and gradients of a loss over the student's outputs.
 *
 * @returns kept student outputs: dispose them
 */
function studentGradients(
  options: MaskedDistillation,
  state: NamedTensors,
  batch: NamedTensors,
  loss: (outputs: StudentOutputs) => tf.Scalar,
): { loss: tf.Scalar; gradients: NamedTensors; student: StudentOutputs } {
  const parameters = under('student.', state);
  const names = trainedNames(options.networks);
  let kept = undefined as StudentOutputs | undefined;
  const { value, grads } = tf.valueAndGrads((...values: tf.Tensor[]) => {
    const trained = Object.fromEntries(names.map((name, i) => [name, values[i]]));
    const outputs = studentOutputs(options, { ...parameters, ...trained }, batch);
    kept = { cls: tf.keep(outputs.cls), tokens: tf.keep(outputs.tokens), patches: tf.keep(outputs.patches) };
    return loss(outputs);
  })(names.map((name) => parameters[name]));
  return {
    loss: value as tf.Scalar,
    gradients: Object.fromEntries(names.map((name, i) => [name, grads[i]])),
    student: kept as StudentOutputs,
  };
}

/** How strongly the scalars of a term pull at the outputs it looks at: `termGradientNorms`, where they are weighed. */
export function termNorms(
  { parts, weighed }: JointTerm,
  outputs: tf.Tensor,
  partsOf: (outputs: tf.Tensor3D) => NamedTensors,
): NamedTensors {
  if (!weighed) return {};
  const norms = parts.map((name) => {
    const gradient = tf.grad((changed) => partsOf(changed as tf.Tensor3D)[name])(outputs);
    return tf.sqrt(tf.sum(tf.square(gradient)));
  });
  return { termGradientNorms: tf.stack(norms) };
}

/** What the log looks at: features of the first view, and what the terms of the loss pull at. */
function diagnostics(
  { method: { diagnosed, joint } }: MaskedDistillation,
  student: StudentOutputs,
  teacher: TeacherOutputs,
  batch: NamedTensors,
): NamedTensors {
  const [, images, width] = student[diagnosed].shape;
  const features = tf.reshape(tf.slice(student[diagnosed], [0, 0, 0], [1, -1, -1]), [images, width]);
  // A term that was given is constant here: whoever computed it has its norms.
  if (joint === undefined || isTermKnown(batch)) return { features };
  const partsOf = (outputs: tf.Tensor3D): NamedTensors => joint.objective(outputs, teacher.cls).parts;
  return { features, ...termNorms(joint, student[joint.of], partsOf) };
}

/** Clipping per module, AdamW, EMA. */
export function updateClipped(
  { config, networks }: MaskedDistillation,
  gradients: NamedTensors,
  loss: tf.Tensor,
  state: NamedTensors,
  batch: NamedTensors,
): ReturnType<typeof updateNetworks> {
  const clipped = clipScalesPerModule(gradients, networks.modules, config.optimizer.clipNorm);
  return updateNetworks(config, networks, gradients, clipped, networks.modules, loss, state, batch);
}

/** Means over a batch, or their share of one: parts whose weights are those of the whole add up. */
function teacherMeans({ cls, patches }: TeacherOutputs, centerWeights: tf.Tensor1D): TeacherMeans {
  const [views, images, width] = cls.shape;
  return {
    cls: tf.mean(tf.reshape(cls, [views * images, width]), 0, true),
    patches: tf.matMul(tf.reshape(centerWeights, [1, -1]), patches),
    masked: tf.reshape(tf.sum(centerWeights), [1]),
  };
}

/**
 * Loss, gradients and the numbers for the log of a batch, or of a part of it.
 *
 * @param teacher - the teacher's outputs where they are known already
 */
export function batchGradients(
  options: MaskedDistillation,
  state: NamedTensors,
  batch: NamedTensors,
  teacher = teacherOutputs(options, state, batch),
): { readonly gradients: NamedTensors; readonly metrics: NamedTensors; readonly means: TeacherMeans } {
  const { method } = options;
  const weights = batch['patches.weights'] as tf.Tensor1D;
  let parts: NamedTensors = {};
  const { loss, gradients, student } = studentGradients(options, state, batch, (outputs) => {
    const objective = method.objective({ student: outputs, teacher, weights }, state, batch);
    parts = Object.fromEntries(Object.entries(objective.parts).map(([name, part]) => [name, tf.keep(part)]));
    return objective.loss;
  });
  const metrics = {
    loss,
    ...Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, tf.clone(part)])),
    ...diagnostics(options, student, teacher, batch),
  };
  const means = teacherMeans(teacher, batch['patches.centerWeights'] as tf.Tensor1D);
  tf.dispose([parts, student]);
  return { gradients, metrics, means };
}

/**
 * One training step of DINOv2 or SimDINOv2 (`SSLMetaArch.forward_backward` and the loop around it): teacher on unmasked
 * global views; student on masked global and unmasked local ones; losses of CLS tokens and of masked patches; clipping
 * per module, AdamW, EMA. Pure; everything random and everything scheduled is in the batch.
 *
 * State: `student.*`, `teacher.*` (EMA teachers only), `adam.m.*`, `adam.v.*`, and the method's.
 * Batch: `crops.*`, `masks`, `patches.*`, `subset.*`, `adamw`, `momentum`, `oneMinusMomentum`, and the method's.
 * Metrics: `loss`, the method's parts, `gradientNorms` [modules], `features` [n, width] of the first view,
 * `termGradientNorms` [terms], `finite`.
 */
export function maskedDistillationStep(options: MaskedDistillation): Step {
  const { method } = options;
  return (state, batch) => {
    const { gradients, metrics, means } = batchGradients(options, state, batch);
    const update = updateClipped(options, gradients, metrics['loss'], state, batch);
    return {
      state: { ...update.state, ...method.nextState?.(means, state) },
      metrics: { ...metrics, ...update.metrics },
    };
  };
}

/** State of a run: names, shapes, types. */
export function maskedStateSpecs({ config, networks, method }: MaskedDistillation): Specs {
  return { ...networkStateSpecs(config, networks), ...method.state };
}

/** What the networks take of `images` images; float crops are taken as normalised. */
export function maskedViewSpecs(
  { config, networks }: MaskedDistillation,
  images: number,
  pixels: 'u8' | 'f32' = 'u8',
): Specs {
  const backbone = networks.backbone.config;
  return {
    ...pixelSpecs(config, backbone.channels, images, pixels),
    ...maskSpecs(config, images),
    ...subsetSpecs(config, backbone, images),
  };
}

/** Batch of a step: names, shapes, types. */
export function maskedBatchSpecs(options: MaskedDistillation): Specs {
  const { config, networks, method } = options;
  return { ...maskedViewSpecs(options, config.batchSize), ...updateBatchSpecs(networks), ...method.batch };
}
