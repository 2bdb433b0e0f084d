import { drawBlockMasks } from '@selfsup/augment-multicrop';
import { drawSubsets } from '@selfsup/backbone-vit';
import { Rng, type HostArrays } from '@selfsup/core';
import type { SecondGenerationConfig } from '../config/types.js';
import type { Recipe } from '../training/recipe.js';
import { accumulatedMaskedProgram } from './accumulation.js';
import { blockMaskOptions, maskArrays } from './masked-rows.js';
import { maskedMethodOf } from './methods.js';
import { buildMaskedNetworks } from './networks.js';
import { maskedScalars, maskedSchedules } from './schedules.js';
import { maskedBatchSpecs, maskedDistillationStep, maskedStateSpecs, type MaskedDistillation } from './step.js';
import { viewCounts } from '../training/crops.js';

/** DINOv2 and SimDINOv2. @throws SslError `UNKNOWN_NAME` or `BAD_OPTION` */
export function maskedDistillationRecipe(config: SecondGenerationConfig): Recipe {
  const networks = buildMaskedNetworks(config);
  const options: MaskedDistillation = { config, networks, method: maskedMethodOf(config) };
  const { seed, batchSize: images, groups } = config;
  return {
    config,
    networks,
    state: maskedStateSpecs(options),
    frozen: {},
    batch: maskedBatchSpecs(options),
    step: maskedDistillationStep(options),
    gradientNames: networks.modules,
    accumulated: (engine, pixels) => accumulatedMaskedProgram(engine, options, pixels),
    schedule(length) {
      const schedules = maskedSchedules(config, length);
      return { learningRate: schedules.learningRate, scalars: (step) => maskedScalars(step, options, schedules) };
    },
    draw(step) {
      const { masks } = drawBlockMasks(blockMaskOptions(config), { seed, step });
      const arrays: HostArrays = maskArrays(config, masks, images, groups);
      for (const [kind, crops] of Object.entries(viewCounts(config))) {
        const rng = Rng.of(seed, `drop-path.${kind}`, step);
        const subsets = drawSubsets(networks.backbone.config, rng, { crops, images, groups });
        for (const [block, { data }] of Object.entries(subsets)) arrays[`subset.${kind}.${block}`] = data;
      }
      return arrays;
    },
  };
}
