import type { HostArrays } from '@selfsup/core';
import { adamWScalars, cosineSchedule, MAIN_CLOCK, type ParameterGroups } from '@selfsup/optim';
import type { DistillConfig } from '../config/types.js';
import { cropSpecs, drawDrops, sliceCrops } from '../training/crops.js';
import { consecutiveParts } from '../training/image-rows.js';
import { partwiseProgram } from '../training/partwise.js';
import type { Recipe } from '../training/recipe.js';
import { peakLearningRate, type RunLength, type StepSchedule } from '../training/schedules.js';
import { studentBatchSpecs, studentStateSpecs, trainedNames } from '../training/update.js';
import { buildDistillNetworks } from './networks.js';
import { distillGradients, distillStep, distillUpdate, frozenSpecs } from './step.js';

/** DINO's learning rate and weight decay: linear warm-up from 0, cosine decay. */
function scheduleOf({ optimizer, batchSize }: DistillConfig, groups: ParameterGroups, length: RunLength): StepSchedule {
  const { minLearningRate, weightDecay: start, weightDecayEnd: end, beta1, beta2, epsilon } = optimizer;
  const { warmupSteps } = length;
  // A run that ends within its warm-up follows the same ramp as a longer one.
  const totalSteps = Math.max(length.totalSteps, warmupSteps + 1);
  const base = peakLearningRate(optimizer, batchSize);
  const learningRate = cosineSchedule({ base, final: minLearningRate, totalSteps, warmupSteps });
  const weightDecay = cosineSchedule({ base: start, final: end, totalSteps });
  return {
    learningRate,
    scalars: (step): HostArrays => ({
      adamw: adamWScalars(
        groups,
        {
          learningRate: learningRate(step),
          weightDecay: weightDecay(step),
          clocks: { [MAIN_CLOCK]: { updates: step + 1 } },
        },
        { beta1, beta2, epsilon },
      ).data,
    }),
  };
}

/** Distillation from a frozen teacher. @throws SslError `BAD_OPTION` without a teacher, `UNKNOWN_NAME` */
export function distillRecipe(config: DistillConfig): Recipe {
  const networks = buildDistillNetworks(config);
  const options = { config, networks };
  const backbone = networks.backbone.config;
  const { batchSize, accumulate } = config;
  const state = studentStateSpecs(networks);
  const frozen = frozenSpecs(networks);
  const updateBatch = studentBatchSpecs(networks);
  return {
    config,
    networks,
    state,
    frozen,
    batch: { ...cropSpecs(config, backbone, batchSize), ...updateBatch },
    step: distillStep(options),
    gradientNames: trainedNames(networks),
    accumulated: (engine, pixels) => {
      const images = batchSize / accumulate;
      const batch = cropSpecs(config, backbone, images, pixels);
      const students = Object.entries(state).filter(([name]) => name.startsWith('student.'));
      return partwiseProgram(engine, {
        name: config.recipe,
        networks,
        parts: accumulate,
        part: {
          state: { ...Object.fromEntries(students), ...frozen },
          batch,
          gradients: (given, arrays) => distillGradients(options, given, arrays),
          arrays: (whole) => ({
            images: consecutiveParts(batchSize, accumulate),
            parts: sliceCrops(config, Object.keys(batch), whole),
          }),
        },
        update: {
          state,
          batch: { ...updateBatch, loss: { shape: [], dtype: 'f32' } },
          apply: (gradients, given, { loss, ...arrays }) => distillUpdate(options, gradients, loss, given, arrays),
        },
      });
    },
    schedule: (length) => scheduleOf(config, networks.groups, length),
    draw: (step) => drawDrops(config, backbone, step),
  };
}
