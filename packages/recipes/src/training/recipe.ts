import type { Engine, Step } from '@selfsup/compile';
import type { HostArrays, Specs } from '@selfsup/core';
import type { FirstGenerationConfig, RecipeConfig } from '../config/types.js';
import { methodOf } from '../methods.js';
import { accumulatedProgram } from './accumulation.js';
import { drawDrops } from './crops.js';
import { batchSpecs, distillationStep, stateSpecs } from './distillation-step.js';
import { buildNetworks, type TrainedNetworks } from './networks.js';
import type { TrainingProgram } from './program.js';
import { scheduledScalars, schedulesOf, type RunLength, type StepSchedule } from './schedules.js';
import { trainedNames } from './update.js';

/** A recipe as the training loop sees it: what a step does, what it takes, and what changes from step to step. */
export interface Recipe {
  readonly config: RecipeConfig;
  readonly networks: TrainedNetworks;
  /** State of a run: names, shapes, types. */
  readonly state: Specs;
  /** State that no step changes and no checkpoint holds, e.g. a frozen teacher. */
  readonly frozen: Specs;
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
  return {
    config,
    networks,
    state: stateSpecs(options),
    frozen: {},
    batch: batchSpecs(options),
    step: distillationStep(options),
    gradientNames: trainedNames(networks),
    accumulated: (engine, pixels) => accumulatedProgram(engine, options, pixels),
    schedule(length) {
      const schedules = schedulesOf(config, length);
      return {
        learningRate: schedules.learningRate,
        scalars: (step) => scheduledScalars(step, config, schedules, length, networks.groups, method),
      };
    },
    draw: (step) => drawDrops(config, networks.backbone.config, step),
  };
}
