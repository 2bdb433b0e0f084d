import { dropPathRates, drawKeepMasks } from '@selfsup/backbone-vit';
import type { Engine, Step } from '@selfsup/compile';
import { Rng, type HostArrays, type Specs } from '@selfsup/core';
import type { FirstGenerationConfig, RecipeConfig } from '../config/types.js';
import { methodOf } from '../methods.js';
import { accumulatedProgram, type TrainingProgram } from './accumulation.js';
import { batchSpecs, distillationStep, stateSpecs } from './distillation-step.js';
import { buildNetworks, type TrainedNetworks } from './networks.js';
import { scheduledScalars, schedulesOf, type RunLength, type StepSchedule } from './schedules.js';
import { trainedNames } from './update.js';

/** A recipe as the training loop sees it: what a step does, what it takes, and what changes from step to step. */
export interface Recipe {
  readonly config: RecipeConfig;
  readonly networks: TrainedNetworks;
  /** State of a run: names, shapes, types. */
  readonly state: Specs;
  /** Batch of a step: names, shapes, types. */
  readonly batch: Specs;
  /** The step; pure. */
  readonly step: Step;
  /** What the metric `gradientNorms` lists: parameters, or modules. */
  readonly gradientNames: readonly string[];
  /**
   * The step in `config.accumulate` parts, with the same numbers.
   *
   * @param pixels - `u8` for bytes (the default), `f32` for crops that are normalised already
   */
  accumulated(engine: Engine, pixels?: 'u8' | 'f32'): Promise<TrainingProgram>;
  schedule(length: RunLength): StepSchedule;
  /** Everything random in a step's batch but the crops; depends on the seed and the step alone. */
  draw(step: number): HostArrays;
}

/** DINO and SimDINO. @throws SslError `UNKNOWN_NAME` or `BAD_OPTION` */
export function distillationRecipe(config: FirstGenerationConfig): Recipe {
  const networks = buildNetworks(config);
  const method = methodOf(config);
  const options = { config, networks, method };
  const backbone = networks.backbone.config;
  const dropped = dropPathRates(backbone).flatMap((rate, i) => (rate > 0 ? [`blocks.${i}`] : []));
  const { seed, batchSize, crops } = config;
  return {
    config,
    networks,
    state: stateSpecs(options),
    batch: batchSpecs(options, dropped),
    step: distillationStep(options),
    gradientNames: trainedNames(networks),
    accumulated: (engine, pixels) => accumulatedProgram(engine, options, dropped, pixels),
    schedule(length) {
      const schedules = schedulesOf(config, length);
      return {
        learningRate: schedules.learningRate,
        scalars: (step) => scheduledScalars(step, config, schedules, length, networks.groups, method),
      };
    },
    draw(step) {
      const arrays: HostArrays = {};
      for (const [kind, count] of Object.entries({ global: 2, local: crops.local.count })) {
        if (count === 0) continue;
        const masks = drawKeepMasks(backbone, Rng.of(seed, `drop-path.${kind}`, step), count * batchSize);
        for (const [block, mask] of Object.entries(masks)) arrays[`keep.${kind}.${block}`] = mask.data;
      }
      return arrays;
    },
  };
}
