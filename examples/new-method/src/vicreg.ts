// A method that selfsup does not ship, from its public pieces: VICReg (Bardes, Ponce, LeCun, ICLR 2022) on a small ConvNet.
import { MULTI_CROP_PRESETS, multiCrop, type RgbImage } from '@selfsup/augment-multicrop';
import { compileStep, specsOf, type CompiledStep, type Engine, type NamedTensors, type Step } from '@selfsup/compile';
import { Rng, type HostArrays, type HostTensor } from '@selfsup/core';
import {
  adamW,
  adamWMoments,
  adamWScalars,
  adamWScalarsSpec,
  dinoParameterRule,
  MAIN_CLOCK,
  parameterGroups,
} from '@selfsup/optim';
import * as tf from '@tensorflow/tfjs-core';

export const SIZE = 32;
const WIDTHS = [3, 16, 32, 64, 128]; // channels before and after each stride-2 convolution
const { simdino } = MULTI_CROP_PRESETS;
const VIEWS = { ...simdino, global: { ...simdino.global, size: SIZE }, local: { ...simdino.local, count: 0 } };

/** Parameters of the ConvNet and of the expander behind it. */
export function init(seed: number): Record<string, HostTensor> {
  const weight = (name: string, shape: number[], fanIn: number): [string, HostTensor] => {
    const data = Rng.of(seed, name).normals(
      shape.reduce((a, b) => a * b),
      Math.sqrt(2 / fanIn),
    );
    return [name, { shape, dtype: 'f32', data }];
  };
  const convs = WIDTHS.slice(1).map((out, i) => weight(`conv${i}`, [3, 3, WIDTHS[i], out], 9 * WIDTHS[i]));
  return Object.fromEntries([...convs, weight('expand0', [128, 256], 128), weight('expand1', [256, 256], 256)]);
}

/** Bytes [B, 32, 32, 3] to features [B, 128]. */
export function convNet(p: NamedTensors, images: tf.Tensor): tf.Tensor2D {
  let x = tf.sub(tf.div(tf.cast(images, 'float32'), 127.5), 1) as tf.Tensor4D;
  for (let i = 0; i < WIDTHS.length - 1; i++) x = tf.relu(tf.conv2d(x, p[`conv${i}`] as tf.Tensor4D, 2, 'same'));
  return tf.mean(x, [1, 2]);
}

/** Invariance, variance and covariance terms (eq. 1-6) of two views' embeddings [B, d]. */
export function vicreg(a: tf.Tensor2D, b: tf.Tensor2D): tf.Scalar {
  const [n, d] = a.shape;
  const regularize = (z: tf.Tensor2D): tf.Tensor => {
    const centred = tf.sub(z, tf.mean(z, 0)) as tf.Tensor2D;
    const std = tf.sqrt(tf.add(tf.div(tf.sum(tf.square(centred), 0), n - 1), 1e-4));
    const covariance = tf.div(tf.matMul(centred, centred, true, false), n - 1);
    const offDiagonal = tf.sum(tf.square(tf.mul(covariance, tf.sub(1, tf.eye(d)))));
    return tf.add(tf.mul(25, tf.mean(tf.relu(tf.sub(1, std)))), tf.div(offDiagonal, d));
  };
  return tf.add(tf.mul(25, tf.mean(tf.squaredDifference(a, b))), tf.add(regularize(a), regularize(b)));
}

/** A compiled trainer: `step(images, t)` returns the loss. */
export async function trainer(
  engine: Engine,
  batchSize: number,
  seed = 0,
): Promise<{ compiled: CompiledStep; step(images: RgbImage[], t: number): Promise<number> }> {
  const start = init(seed);
  const groups = parameterGroups(start, dinoParameterRule());
  const names = Object.keys(start);
  const step: Step = (state, { first, second, adamw }) => {
    const of = (kind: string): NamedTensors =>
      Object.fromEntries(names.map((name) => [name, state[`${kind}.${name}`]]));
    const embed = (p: NamedTensors, x: tf.Tensor): tf.Tensor2D =>
      tf.matMul(tf.relu(tf.matMul(convNet(p, x), p['expand0'] as tf.Tensor2D)), p['expand1'] as tf.Tensor2D);
    const { value, grads } = tf.valueAndGrads((...values: tf.Tensor[]) => {
      const p = Object.fromEntries(names.map((name, i) => [name, values[i]]));
      return vicreg(embed(p, first), embed(p, second));
    })(names.map((name) => state[`w.${name}`]));
    const gradients = Object.fromEntries(names.map((name, i) => [name, grads[i]]));
    const next = adamW({ params: of('w'), grads: gradients, m: of('m'), v: of('v'), groups, scalars: adamw });
    const flat = { w: next.params, m: next.m, v: next.v };
    return {
      state: Object.fromEntries(Object.entries(flat).flatMap(([k, ts]) => names.map((n) => [`${k}.${n}`, ts[n]]))),
      metrics: { loss: value },
    };
  };
  const state = Object.fromEntries(
    Object.entries({ w: start, m: adamWMoments(start, groups), v: adamWMoments(start, groups) }).flatMap(([k, ts]) =>
      names.map((n) => [`${k}.${n}`, ts[n]]),
    ),
  );
  const images = { shape: [batchSize, SIZE, SIZE, 3], dtype: 'u8' } as const;
  const compiled = await compileStep(step, {
    engine,
    state: specsOf(state),
    batch: { first: images, second: images, adamw: adamWScalarsSpec(groups) },
  });
  await compiled.load(Object.fromEntries(Object.entries(state).map(([name, { data }]) => [name, data])));
  return {
    compiled,
    async step(batch, t) {
      const views = batch.map((image, sample) => multiCrop(image, VIEWS, { seed, epoch: t, sample }).global);
      const stack = (k: number): Uint8Array => Uint8Array.from(views.flatMap((v) => [...v[k]]));
      const adamw = adamWScalars(groups, {
        learningRate: 1e-3,
        weightDecay: 1e-4,
        clocks: { [MAIN_CLOCK]: { updates: t + 1 } },
      }).data;
      const arrays: HostArrays = { first: stack(0), second: stack(1), adamw };
      return (await compiled.run(arrays))['loss'][0];
    },
  };
}
