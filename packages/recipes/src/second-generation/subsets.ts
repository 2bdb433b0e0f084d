import { dropPathRates, subsetSize, type DropPathSubset, type VitConfig } from '@selfsup/backbone-vit';
import type { NamedTensors } from '@selfsup/compile';
import type { HostArrays, Specs } from '@selfsup/core';
import type * as tf from '@tensorflow/tfjs-core';
import type { SecondGenerationConfig } from '../config/types.js';
import { viewCounts } from '../training/crops.js';
import { areWholeGroups } from '../training/method.js';
import { under } from '../training/networks.js';

/** Blocks with stochastic depth and how many rows of a kind's views each computes, all groups together. */
function chosenRows(config: SecondGenerationConfig, backbone: VitConfig, views: number): Map<string, number> {
  const perGroup = (views * config.batchSize) / config.groups;
  return new Map(
    dropPathRates(backbone).flatMap((rate, block): [string, number][] =>
      rate > 0 ? [[`blocks.${block}`, config.groups * subsetSize(perGroup, rate)]] : [],
    ),
  );
}

/** Most rows a part of the batch can have among the chosen ones; exactly its share where it is whole groups. */
function partRows(config: SecondGenerationConfig, views: number, chosen: number, images: number): number {
  return areWholeGroups(config, images) ? (chosen * images) / config.batchSize : Math.min(chosen, views * images);
}

/**
 * Batch subsets of stochastic depth for `images` images: `subset.<kind>.blocks.N`, and for a part of the batch
 * `subsetScale.<kind>.blocks.N`, which tells chosen rows from fillers.
 */
export function subsetSpecs(config: SecondGenerationConfig, backbone: VitConfig, images: number): Specs {
  const specs: Record<string, Specs[string]> = {};
  for (const [kind, views] of Object.entries(viewCounts(config))) {
    for (const [block, chosen] of chosenRows(config, backbone, views)) {
      const shape = [2, partRows(config, views, chosen, images)];
      specs[`subset.${kind}.${block}`] = { shape, dtype: 'i32' };
      if (images < config.batchSize) specs[`subsetScale.${kind}.${block}`] = { shape, dtype: 'f32' };
    }
  }
  return specs;
}

/** The subsets of a kind of views; undefined where nothing is dropped. */
export function subsetsOf(kind: string, batch: NamedTensors): Record<string, DropPathSubset> | undefined {
  const rows = under(`subset.${kind}.`, batch) as Record<string, tf.Tensor2D>;
  if (Object.keys(rows).length === 0) return undefined;
  const scales = under(`subsetScale.${kind}.`, batch) as Partial<Record<string, tf.Tensor2D>>;
  return Object.fromEntries(
    Object.entries(rows).map(([block, chosen]) => {
      const scale = scales[block];
      return [block, scale === undefined ? { rows: chosen } : { rows: chosen, scale }];
    }),
  );
}

/**
 * The chosen rows among some images, as rows of the part that these are. The scale stays that of the whole group;
 * unused places are filled with row 0 and scale 0.
 */
export function partSubsets(
  config: SecondGenerationConfig,
  backbone: VitConfig,
  batch: Readonly<HostArrays>,
  images: readonly number[],
): HostArrays {
  const arrays: HostArrays = {};
  const placeOf = new Map(images.map((image, place) => [image, place]));
  for (const [kind, views] of Object.entries(viewCounts(config))) {
    for (const [block, chosen] of chosenRows(config, backbone, views)) {
      const size = partRows(config, views, chosen, images.length);
      const rows = new Int32Array(2 * size);
      const scale = new Float32Array(2 * size);
      const all = batch[`subset.${kind}.${block}`];
      for (const branch of [0, 1]) {
        let at = branch * size;
        for (const row of all.subarray(branch * chosen, (branch + 1) * chosen)) {
          const place = placeOf.get(row % config.batchSize);
          if (place === undefined) continue;
          rows[at] = Math.floor(row / config.batchSize) * images.length + place;
          scale[at++] = (views * config.batchSize) / chosen;
        }
      }
      arrays[`subset.${kind}.${block}`] = rows;
      arrays[`subsetScale.${kind}.${block}`] = scale;
    }
  }
  return arrays;
}
