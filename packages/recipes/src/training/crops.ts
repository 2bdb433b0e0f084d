import { IMAGENET_STATISTICS } from '@selfsup/augment-multicrop';
import { drawKeepMasks, dropPathRates, type VitConfig } from '@selfsup/backbone-vit';
import type { NamedTensors } from '@selfsup/compile';
import { Rng, type HostArrays, type Specs } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import type { CommonConfig } from '../config/types.js';
import { consecutiveParts, takeImages } from './image-rows.js';
import type { Networks } from './networks.js';
import { under } from './networks.js';

/** Crops of one size: `[crops * B, H, W, 3]` crop-major, and keep masks for stochastic depth. */
export interface CropSet {
  readonly images: tf.Tensor4D;
  readonly keep?: Readonly<Record<string, tf.Tensor2D>>;
}

/** Bytes (traced as int32) become (x / 255 - mean) / std; float crops are taken as normalised already. */
export function normalizeCrops(crops: tf.Tensor): tf.Tensor4D {
  if (crops.dtype !== 'int32') return crops as tf.Tensor4D;
  const { mean, std } = IMAGENET_STATISTICS;
  const scale = tf.tensor1d(std.map((s) => 1 / (255 * s)));
  const shift = tf.tensor1d(mean.map((m, i) => m / std[i]));
  return tf.sub(tf.mul(tf.cast(crops, 'float32'), scale), shift);
}

/** The crop sets of a batch: `crops.global`, `crops.local` (if any) with `keep.global.*`, `keep.local.*`. */
export function cropSets(batch: NamedTensors): CropSet[] {
  return ['global', 'local'].flatMap((kind) => {
    const crops = batch[`crops.${kind}`];
    if (crops === undefined) return [];
    const keep = under(`keep.${kind}.`, batch) as Record<string, tf.Tensor2D>;
    return [{ images: normalizeCrops(crops), ...(Object.keys(keep).length > 0 ? { keep } : {}) }];
  });
}

/** Kinds of views and how many of each an image has. */
export function viewCounts({ crops }: Pick<CommonConfig, 'crops'>): Record<string, number> {
  return { global: 2, ...(crops.local.count > 0 ? { local: crops.local.count } : {}) };
}

/** Specs of `crops.*` of `images` images. */
export function pixelSpecs(
  config: Pick<CommonConfig, 'crops'>,
  channels: number,
  images: number,
  pixels: 'u8' | 'f32',
): Specs {
  return Object.fromEntries(
    Object.entries(viewCounts(config)).map(([kind, views]): [string, Specs[string]] => {
      const size = kind === 'global' ? config.crops.global.size : config.crops.local.size;
      return [`crops.${kind}`, { shape: [views * images, size, size, channels], dtype: pixels }];
    }),
  );
}

/** Crops and masks of stochastic depth of `images` images; float crops are taken as normalised. */
export function cropSpecs(
  config: Pick<CommonConfig, 'crops'>,
  backbone: VitConfig,
  images: number,
  pixels: 'u8' | 'f32' = 'u8',
): Specs {
  const dropped = dropPathRates(backbone).flatMap((rate, block) => (rate > 0 ? [`blocks.${block}`] : []));
  const masks = Object.entries(viewCounts(config)).flatMap(([kind, views]) =>
    dropped.map((block): [string, Specs[string]] => [
      `keep.${kind}.${block}`,
      { shape: [2, views * images], dtype: 'f32' },
    ]),
  );
  return { ...pixelSpecs(config, backbone.channels, images, pixels), ...Object.fromEntries(masks) };
}

/** Masks of stochastic depth of a step; they depend on the seed and the step alone. */
export function drawDrops(
  config: Pick<CommonConfig, 'crops' | 'batchSize' | 'seed'>,
  backbone: VitConfig,
  step: number,
): HostArrays {
  const arrays: HostArrays = {};
  for (const [kind, views] of Object.entries(viewCounts(config))) {
    const masks = drawKeepMasks(backbone, Rng.of(config.seed, `drop-path.${kind}`, step), views * config.batchSize);
    for (const [block, mask] of Object.entries(masks)) arrays[`keep.${kind}.${block}`] = mask.data;
  }
  return arrays;
}

/** The arrays of {@link cropSpecs} for each part of a step. */
export function sliceCrops(
  config: Pick<CommonConfig, 'crops' | 'batchSize' | 'accumulate'>,
  names: readonly string[],
  batch: Readonly<HostArrays>,
): HostArrays[] {
  const { batchSize, accumulate } = config;
  const views = viewCounts(config);
  const slice = (name: string, images: readonly number[]): HostArrays[string] => {
    // Masks are [2, rows]: two blocks of crop-major rows.
    const blocks = name.startsWith('keep.') ? 2 : 1;
    return takeImages(batch[name], blocks * views[name.split('.')[1]], batchSize, images);
  };
  return consecutiveParts(batchSize, accumulate).map((images) =>
    Object.fromEntries(names.map((name) => [name, slice(name, images)])),
  );
}

/** What the networks make of crops. A type alias, so that it is a record of tensors for `tf.tidy`. */
export type CropOutputs = {
  /** Head outputs, `[crops, B, d]` float32. */
  readonly outputs: tf.Tensor3D;
  /** CLS tokens, `[crops * B, D]` float32. */
  readonly cls: tf.Tensor2D;
};

/**
 * Outputs of crop sets: each set goes through the backbone in one pass, the CLS tokens are joined crop-major and go
 * through the head together (DINO `MultiCropWrapper`).
 */
export function multiCropOutputs(
  { backbone, head }: Networks,
  parameters: NamedTensors,
  sets: readonly CropSet[],
  batchSize: number,
): CropOutputs {
  const weights = under('backbone.', parameters);
  const parts = sets.map(({ images, keep }) => backbone.applyCls(weights, images, keep === undefined ? {} : { keep }));
  const cls = parts.length === 1 ? parts[0] : tf.concat2d(parts, 0);
  const rows = head.apply(under('head.', parameters), cls);
  return { outputs: tf.reshape(rows, [-1, batchSize, rows.shape[1]]), cls };
}
