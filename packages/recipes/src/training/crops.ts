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
