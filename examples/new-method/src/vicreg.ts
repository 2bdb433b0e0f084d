// A method that selfsup does not ship, from its public pieces: VICReg (Bardes, Ponce, LeCun, ICLR 2022) on a small ConvNet.
import { multiCrop, multiCropConfig, type RgbImage } from '@selfsup/augment-multicrop';
import { compileStep, type CompiledStep, type Engine, type NamedTensors } from '@selfsup/compile';
import { Rng, type HostTensor } from '@selfsup/core';
import { adamWTraining } from '@selfsup/recipes';
import * as tf from '@tensorflow/tfjs-core';

export const SIZE = 32;
const WIDTHS = [3, 16, 32, 64, 128]; // channels before and after each stride-2 convolution
export const VIEWS = multiCropConfig('simdino', { global: { size: SIZE }, local: { count: 0 } });

/** Parameters of the ConvNet and of the expander behind it. */
export function init(seed: number): Record<string, HostTensor> {
  const weight = (name: string, shape: number[], fanIn: number): [string, HostTensor] => {
    const size = shape.reduce((a, b) => a * b);
    return [name, { shape, dtype: 'f32', data: Rng.of(seed, name).normals(size, Math.sqrt(2 / fanIn)) }];
  };
  const conv = (out: number, i: number) => weight(`conv${i}`, [3, 3, WIDTHS[i], out], 9 * WIDTHS[i]);
  const expander = [weight('expand0', [128, 256], 128), weight('expand1', [256, 256], 256)];
  return Object.fromEntries([...WIDTHS.slice(1).map(conv), ...expander]);
}

/** Bytes [B, 32, 32, 3] to features [B, 128]. */
export function convNet(p: NamedTensors, images: tf.Tensor): tf.Tensor2D {
  let x = tf.sub(tf.div(tf.cast(images, 'float32'), 127.5), 1) as tf.Tensor4D;
  for (let i = 0; i < WIDTHS.length - 1; i++) x = tf.relu(tf.conv2d(x, p[`conv${i}`] as tf.Tensor4D, 2, 'same'));
  return tf.mean(x, [1, 2]);
}

/** Variance and covariance terms (eq. 1-4) of one view's embeddings [B, d], weighted 25 and 1. */
function spread(z: tf.Tensor2D): tf.Tensor {
  const [n, d] = z.shape;
  const centred = tf.sub(z, tf.mean(z, 0)) as tf.Tensor2D;
  const std = tf.sqrt(tf.add(tf.div(tf.sum(tf.square(centred), 0), n - 1), 1e-4));
  const covariance = tf.div(tf.matMul(centred, centred, true, false), n - 1);
  const offDiagonal = tf.sum(tf.square(tf.mul(covariance, tf.sub(1, tf.eye(d)))));
  return tf.add(tf.mul(25, tf.mean(tf.relu(tf.sub(1, std)))), tf.div(offDiagonal, d));
}

/** VICReg of two views: 25 x invariance (eq. 5) plus the terms that keep each view spread out (eq. 6). */
function vicreg(p: NamedTensors, { first, second }: NamedTensors): tf.Scalar {
  const [a, b] = [first, second].map((view) => {
    const hidden = tf.relu(tf.matMul(convNet(p, view), p['expand0'] as tf.Tensor2D));
    return tf.matMul(hidden, p['expand1'] as tf.Tensor2D) as tf.Tensor2D;
  });
  return tf.add(tf.mul(25, tf.mean(tf.squaredDifference(a, b))), tf.add(spread(a), spread(b)));
}

export interface Trainer {
  readonly compiled: CompiledStep;
  /** One step on a batch of pictures; returns the loss. */
  step(images: readonly RgbImage[], t: number): Promise<number>;
}

export async function trainer(engine: Engine, batchSize: number, seed = 0): Promise<Trainer> {
  const images = { shape: [batchSize, SIZE, SIZE, 3], dtype: 'u8' } as const;
  const training = adamWTraining(init(seed), { first: images, second: images }, vicreg);
  const compiled = await compileStep(training.step, { engine, state: training.state, batch: training.batch });
  await compiled.load(training.initialState);
  return {
    compiled,
    async step(batch, t) {
      const views = batch.map((image, sample) => multiCrop(image, VIEWS, { seed, epoch: t, sample }).global);
      const [first, second] = [0, 1].map((k) => Uint8Array.from(views.flatMap((view) => [...view[k]])));
      const scalars = training.scalars(t, { learningRate: 1e-3, weightDecay: 1e-4 });
      return (await compiled.run({ first, second, ...scalars }))['loss'][0];
    },
  };
}
