import type { HostArrays, Specs } from '@selfsup/core';
import type { SecondGenerationConfig } from '../config/types.js';
import { viewCounts } from '../training/crops.js';
import { consecutiveParts, takeImages } from '../training/image-rows.js';
import { areWholeGroups } from '../training/method.js';
import { pick } from '../training/partwise.js';
import { maskArrays, maskedCapacity, patchesPerView } from './masked-rows.js';
import type { MaskedDistillation } from './step.js';
import { partSubsets } from './subsets.js';

/** A part of a step's batch. */
export interface Part {
  /** Its images, as indices into the batch. */
  readonly images: readonly number[];
  readonly arrays: HostArrays;
}

/**
 * Which images each part has: in order where parts are whole groups, which belong together. Otherwise the images with the
 * most masked patches are dealt out first, one to each part in turn, so that {@link maskedCapacity} can be small.
 *
 * @param masks - 0 or 1, `[2, B, patches]`
 */
export function imagesOfParts(config: SecondGenerationConfig, masks: ArrayLike<number>): number[][] {
  const { accumulate, batchSize } = config;
  if (areWholeGroups(config, batchSize / accumulate)) return consecutiveParts(batchSize, accumulate);
  const patches = patchesPerView(config);
  const masked = new Uint32Array(batchSize);
  for (let i = 0; i < masks.length; i++) masked[Math.floor(i / patches) % batchSize] += masks[i];
  const heaviestFirst = Array.from(masked.keys()).sort((a, b) => masked[b] - masked[a] || a - b);
  return Array.from({ length: accumulate }, (_, k) =>
    heaviestFirst.filter((_image, place) => place % accumulate === k),
  );
}

/**
 * Every part of a step's batch: its images, masks, stochastic depth and rows of masked patches. The weights of the patches'
 * mean are those of the whole batch times the number of parts, so that the mean over parts is the whole's.
 *
 * @param views - what a part takes, see `maskedViewSpecs`
 */
export function partsOf({ config, networks }: MaskedDistillation, views: Specs, batch: Readonly<HostArrays>): Part[] {
  const { batchSize } = config;
  const centerWeights = weightsByPlace(config, batch);
  return imagesOfParts(config, batch['masks']).map((images) => {
    const masks = takeImages(batch['masks'], 2, batchSize, images);
    const rows = maskArrays(config, masks, images.length, 1);
    const crops = Object.entries(viewCounts(config)).map(([kind, count]) => [
      `crops.${kind}`,
      takeImages(batch[`crops.${kind}`], count, batchSize, images),
    ]);
    const arrays = pick(views, {
      ...(Object.fromEntries(crops) as HostArrays),
      ...rows,
      'patches.centerWeights': centerWeightsOfRows(config, rows, centerWeights, images),
      ...partSubsets(config, networks.backbone.config, batch, images),
    });
    return { images, arrays };
  });
}

/** Weights of the patches' mean by place in the whole batch. */
function weightsByPlace(config: SecondGenerationConfig, batch: Readonly<HostArrays>): Float32Array {
  const weights = new Float32Array(2 * config.batchSize * patchesPerView(config));
  // Padding repeats place 0 behind the last row; its weight is 0.
  batch['patches.indices'].forEach((place, row) => (weights[place] += batch['patches.centerWeights'][row]));
  return weights;
}

function centerWeightsOfRows(
  config: SecondGenerationConfig,
  rows: HostArrays,
  byPlace: Float32Array,
  images: readonly number[],
): Float32Array {
  const { accumulate, batchSize } = config;
  const patches = patchesPerView(config);
  const weights = new Float32Array(maskedCapacity(config, images.length));
  rows['patches.indices'].forEach((place, row) => {
    if (rows['patches.weights'][row] === 0) return;
    const view = Math.floor(place / patches);
    const whole = Math.floor(view / images.length) * batchSize + images[view % images.length];
    weights[row] = accumulate * byPlace[whole * patches + (place % patches)];
  });
  return weights;
}
