import { IMAGENET_STATISTICS } from '@selfsup/augment-multicrop';
import * as tf from '@tensorflow/tfjs-core';
import type { NamedTensors } from '@selfsup/compile';
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

/**
 * Head outputs of crop sets: each set goes through the backbone in one pass, the CLS tokens are joined crop-major and
 * go through the head together (DINO `MultiCropWrapper`).
 *
 * @returns `[crops, B, d]` float32
 */
export function multiCropFeatures(
  { backbone, head }: Networks,
  parameters: NamedTensors,
  sets: readonly CropSet[],
  batchSize: number,
): tf.Tensor3D {
  const weights = under('backbone.', parameters);
  const cls = sets.map(({ images, keep }) => backbone.applyCls(weights, images, keep === undefined ? {} : { keep }));
  const features = head.apply(under('head.', parameters), cls.length === 1 ? cls[0] : tf.concat2d(cls, 0));
  return tf.reshape(features, [-1, batchSize, features.shape[1]]);
}
