import { maskedTokenBound, type BlockMaskOptions } from '@selfsup/augment-multicrop';
import { vitConfig } from '@selfsup/backbone-vit';
import type { NamedTensors } from '@selfsup/compile';
import type { HostArrays, Specs } from '@selfsup/core';
import { maskedPatches } from '@selfsup/ema-distill';
import { withGradient } from '@selfsup/ops';
import * as tf from '@tensorflow/tfjs-core';
import type { SecondGenerationConfig } from '../config/types.js';
import { areWholeGroups } from '../training/method.js';

/** How masks are drawn for a batch of a configuration. */
export function blockMaskOptions(config: SecondGenerationConfig): BlockMaskOptions {
  const { imageSize, patchSize } = vitConfig(config.arch, config.backbone);
  const { probability, ratio } = config.masks;
  return {
    grid: Math.floor(imageSize / patchSize),
    images: config.batchSize,
    groups: config.groups,
    probability,
    ratio,
  };
}

/** Patches of a global view. */
export function patchesPerView(config: SecondGenerationConfig): number {
  return (blockMaskOptions(config).grid as number) ** 2;
}

/**
 * Rows that always suffice for the masked patches of `images` images, the same in every step: one compiled program serves
 * all. Whole groups have a bound of their own. Of K parts that cut groups, the images being dealt out heaviest first, none
 * has more than a K-th of all rows and, its first image counting whole, (K - 1) / K of what one image can have.
 */
export function maskedCapacity(config: SecondGenerationConfig, images: number): number {
  const { batchSize, groups } = config;
  const all = groups * maskedTokenBound(blockMaskOptions(config));
  if (areWholeGroups(config, images)) return Math.max(1, (images / batchSize) * all);
  const perImage = maskedTokenBound(blockMaskOptions(config), 2);
  const dealt = Math.trunc((images * all + (batchSize - images) * perImage) / batchSize);
  return Math.max(1, Math.min(images * perImage, dealt));
}

/** Arrays that say which patches are masked: `masks`, and where the rows of masked patches come from and go to. */
export function maskSpecs(config: SecondGenerationConfig, images: number): Specs {
  const patches = patchesPerView(config);
  const capacity = maskedCapacity(config, images);
  return {
    masks: { shape: [2 * images, patches], dtype: 'f32' },
    'patches.indices': { shape: [capacity], dtype: 'i32' },
    'patches.positions': { shape: [2 * images * patches], dtype: 'i32' },
    'patches.weights': { shape: [capacity], dtype: 'f32' },
    'patches.centerWeights': { shape: [capacity], dtype: 'f32' },
  };
}

/**
 * The arrays of {@link maskSpecs} for given masks.
 *
 * @param masks - 0 or 1, `[2, images, patches]`
 * @param groups - virtual ranks the patch centre is the mean over
 * @throws SslError `BAD_OPTION` for more masked patches than {@link maskedCapacity} allows
 */
export function maskArrays(
  config: SecondGenerationConfig,
  masks: ArrayLike<number>,
  images: number,
  groups: number,
): HostArrays {
  const patches = patchesPerView(config);
  const capacity = maskedCapacity(config, images);
  const { indices, weights, centerWeights, count } = maskedPatches({ masks, images, patches, groups, capacity });
  const positions = new Int32Array(2 * images * patches);
  for (let row = 0; row < count; row++) positions[indices.data[row]] = row;
  return {
    masks: Float32Array.from(masks),
    'patches.indices': indices.data,
    'patches.positions': positions,
    'patches.weights': weights.data,
    'patches.centerWeights': centerWeights.data,
  };
}

/**
 * Gathers the masked patches of a batch. The gradient is a gather too: every masked patch has one row of its own, and
 * padding passes nothing on.
 *
 * @param patches - `[2n, N, D]`
 * @returns `[M, D]`
 */
export function takeMasked(patches: tf.Tensor3D, batch: NamedTensors): tf.Tensor2D {
  const [views, perView, width] = patches.shape;
  const flat = tf.reshape(patches, [views * perView, width]);
  const masks = batch['masks'];
  return withGradient<tf.Tensor2D>([flat], () => ({
    value: tf.gather(flat, batch['patches.indices'] as tf.Tensor1D) as tf.Tensor2D,
    saved: [batch['patches.positions'], masks],
    gradient: (dy, [positions, masked]) => [
      tf.mul(tf.gather(dy, positions as tf.Tensor1D), tf.reshape(masked, [views * perView, 1])),
    ],
  }));
}
