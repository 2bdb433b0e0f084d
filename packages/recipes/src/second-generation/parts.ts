import type { HostArrays, Specs } from '@selfsup/core';
import { viewCounts } from '../training/crops.js';
import { sliceImages } from '../training/image-rows.js';
import { pick } from '../training/partwise.js';
import { maskArrays, maskedCapacity, patchesPerView } from './masked-rows.js';
import type { MaskedDistillation } from './step.js';
import { partSubsets } from './subsets.js';

/**
 * Arrays of every part of a step's batch: its images, masks, stochastic depth and rows of masked patches. The weights of
 * the patches' mean are those of the whole batch times the number of parts, so that the mean over parts is the whole's.
 *
 * @param views - what a part takes, see `maskedViewSpecs`
 */
export function partArrays(
  { config, networks }: MaskedDistillation,
  views: Specs,
  batch: Readonly<HostArrays>,
): HostArrays[] {
  const { accumulate, batchSize } = config;
  const images = batchSize / accumulate;
  const centerWeights = weightsByPlace(config, batch);
  return Array.from({ length: accumulate }, (_, k) => {
    const start = k * images;
    const masks = sliceImages(batch['masks'], 2, batchSize, start, images);
    const rows = maskArrays(config, masks, images, 1);
    const crops = Object.entries(viewCounts(config)).map(([kind, count]) => [
      `crops.${kind}`,
      sliceImages(batch[`crops.${kind}`], count, batchSize, start, images),
    ]);
    return pick(views, {
      ...(Object.fromEntries(crops) as HostArrays),
      ...rows,
      'patches.centerWeights': centerWeightsOfRows(config, rows, centerWeights, start),
      ...partSubsets(config, networks.backbone.config, batch, start, images),
    });
  });
}

/** Weights of the patches' mean by place in the whole batch. */
function weightsByPlace(config: MaskedDistillation['config'], batch: Readonly<HostArrays>): Float32Array {
  const weights = new Float32Array(2 * config.batchSize * patchesPerView(config));
  // Padding repeats place 0 behind the last row; its weight is 0.
  batch['patches.indices'].forEach((place, row) => (weights[place] += batch['patches.centerWeights'][row]));
  return weights;
}

function centerWeightsOfRows(
  config: MaskedDistillation['config'],
  rows: HostArrays,
  byPlace: Float32Array,
  start: number,
): Float32Array {
  const { accumulate, batchSize } = config;
  const images = batchSize / accumulate;
  const patches = patchesPerView(config);
  const weights = new Float32Array(maskedCapacity(config, images));
  rows['patches.indices'].forEach((place, row) => {
    if (rows['patches.weights'][row] === 0) return;
    const view = Math.floor(place / patches);
    const whole = Math.floor(view / images) * batchSize + start + (view % images);
    weights[row] = accumulate * byPlace[whole * patches + (place % patches)];
  });
  return weights;
}
