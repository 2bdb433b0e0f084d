import type { NamedTensors, Step } from '@selfsup/compile';
import type { Specs } from '@selfsup/core';
import { clipScalesPerTensor } from '@selfsup/optim';
import * as tf from '@tensorflow/tfjs-core';
import type { DistillConfig } from '../config/types.js';
import { cropSets, type CropSet } from '../training/crops.js';
import { prefixed, under } from '../training/networks.js';
import { trainedNames, updateStudent, type Updated } from '../training/update.js';
import { tokenCosines, type TokenCosines, type Tokens } from './loss.js';
import { FROZEN, type DistillNetworks, type TokenKind } from './networks.js';

export interface Distillation {
  readonly config: DistillConfig;
  readonly networks: DistillNetworks;
}

/** Tokens of both networks for one set of views. */
function tokensOf(
  backbone: DistillNetworks['backbone'],
  weights: NamedTensors,
  { images, keep }: CropSet,
  withPatches: boolean,
): Tokens {
  const dropped = keep === undefined ? {} : { keep };
  if (!withPatches) return { cls: backbone.applyCls(weights, images, dropped) };
  const { cls, patches } = backbone.apply(weights, images, dropped);
  return { cls, patches };
}

/** The student's tokens at the teacher's width. */
function projected({ projections }: DistillNetworks, parameters: NamedTensors, { cls, patches }: Tokens): Tokens {
  const map = <T extends tf.Tensor>(kind: TokenKind, tokens: T): T => {
    const head = projections[kind];
    if (head === undefined) return tokens;
    const rows = head.apply(
      under(`head.${kind}.`, parameters),
      tf.reshape(tokens, [-1, tokens.shape.at(-1) as number]),
    );
    return tf.reshape(rows, [...tokens.shape.slice(0, -1), rows.shape[1]]) as T;
  };
  return { cls: map('cls', cls), ...(patches === undefined ? {} : { patches: map('patch', patches) }) };
}

/** The mean over views of what sets of views give. */
function meanOverViews(sets: readonly CropSet[], cosines: readonly TokenCosines[]): TokenCosines {
  const views = sets.reduce((n, { images }) => n + images.shape[0], 0);
  const mean = (values: readonly tf.Scalar[]): tf.Scalar =>
    tf.addN(values.map((value, i) => tf.mul(value, sets[i].images.shape[0] / views))) as tf.Scalar;
  const patch = cosines.flatMap((found) => found.patch ?? []);
  return { cls: mean(cosines.map(({ cls }) => cls)), ...(patch.length === 0 ? {} : { patch: mean(patch) }) };
}

/** Loss of a batch or a part of it, its gradients, and the numbers for the log. */
export function distillGradients(
  { config, networks }: Distillation,
  state: NamedTensors,
  batch: NamedTensors,
): { readonly gradients: NamedTensors; readonly metrics: NamedTensors } {
  const { clsWeight, patchWeight } = config.loss;
  const withPatches = patchWeight > 0;
  const sets = cropSets(batch);
  const frozen = under(FROZEN, state);
  const targets = sets.map(({ images }) => tokensOf(networks.teacher, frozen, { images }, withPatches));
  const student = under('student.', state);
  const names = trainedNames(networks);
  const kept: { cosines?: TokenCosines; cls?: tf.Tensor2D } = {};
  const { value: loss, grads } = tf.valueAndGrads((...values: tf.Tensor[]) => {
    const parameters = { ...student, ...Object.fromEntries(names.map((name, i) => [name, values[i]])) };
    const tokens = sets.map((set) => tokensOf(networks.backbone, under('backbone.', parameters), set, withPatches));
    const cosines = meanOverViews(
      sets,
      tokens.map((found, i) => tokenCosines(projected(networks, parameters, found), targets[i])),
    );
    kept.cls = tf.keep(tokens[0].cls);
    kept.cosines = Object.fromEntries(
      Object.entries(cosines).map(([name, value]) => [name, tf.keep(value)]),
    ) as TokenCosines;
    const terms = [
      tf.mul(tf.sub(1, cosines.cls), clsWeight),
      ...(cosines.patch === undefined ? [] : [tf.mul(tf.sub(1, cosines.patch), patchWeight)]),
    ];
    return tf.addN(terms) as tf.Scalar;
  })(names.map((name) => student[name]));
  const { cls, cosines } = kept as Required<typeof kept>;
  const metrics = {
    loss,
    ...Object.fromEntries(Object.entries(cosines).map(([kind, value]) => [`${kind}Cosine`, tf.clone(value)])),
    // Of the first view.
    features: tf.slice(cls, [0, 0], [sets[0].images.shape[0] / config.crops.global.views.length, -1]),
  };
  tf.dispose([cls, cosines]);
  return { gradients: Object.fromEntries(names.map((name, i) => [name, grads[i]])), metrics };
}

/** Clipping per tensor and AdamW. */
export function distillUpdate(
  { config, networks }: Distillation,
  gradients: NamedTensors,
  loss: tf.Tensor,
  state: NamedTensors,
  batch: NamedTensors,
): Updated {
  const clipped = clipScalesPerTensor(gradients, config.optimizer.clipNorm);
  return updateStudent(networks, gradients, clipped, trainedNames(networks), loss, state, batch);
}

/**
 * One step of distillation from a frozen teacher: both networks see the same views, the student's tokens are brought to
 * the teacher's width where it is another one, and their cosines are raised ({@link tokenCosines}). Every view counts
 * alike. Pure; everything random and everything scheduled is in the batch.
 *
 * State: `student.*`, `adam.m.*`, `adam.v.*`, and `frozen.backbone.*`, which no step changes.
 * Batch: `crops.*`, `keep.<set>.blocks.N` (the student's stochastic depth, if any), `adamw`.
 * Metrics: `loss`, `clsCosine`, `patchCosine`, `gradientNorms` [trained parameters], `features` [B, D], `finite`.
 */
export function distillStep(options: Distillation): Step {
  return (state, batch) => {
    const { gradients, metrics } = distillGradients(options, state, batch);
    const update = distillUpdate(options, gradients, metrics['loss'], state, batch);
    return { state: update.state, metrics: { ...metrics, ...update.metrics } };
  };
}

/** The teacher's weights: names, shapes, types. */
export function frozenSpecs({ teacher }: DistillNetworks): Specs {
  return prefixed(FROZEN, teacher.parameterSpecs());
}
