import { SslError, type HostArrays } from '@selfsup/core';
import {
  adamWScalars,
  dinoSchedules,
  LAST_LAYER_CLOCK,
  linearScaledLearningRate,
  MAIN_CLOCK,
  sqrtScaledLearningRate,
  type DinoSchedules,
  type ParameterGroups,
} from '@selfsup/optim';
import type { FirstGenerationConfig, OptimizerConfig, RecipeConfig } from '../config/types.js';
import type { Method } from './method.js';

/** A run's length, counted once in steps. */
export interface RunLength {
  readonly totalSteps: number;
  readonly warmupSteps: number;
  readonly stepsPerEpoch: number;
}

/**
 * Epochs become steps of this data; `--steps` sets the total, warm-up stays in the preset's steps.
 *
 * @throws SslError `BAD_OPTION` for a batch larger than the data or a run without a step
 */
export function runLength({ length, batchSize }: RecipeConfig, datasetSize: number): RunLength {
  const passSteps = Math.floor(datasetSize / batchSize);
  if (passSteps < 1) {
    throw new SslError('BAD_OPTION', {
      where: 'recipes.runLength',
      expected: `batchSize of at most the ${datasetSize} images of the data set`,
      got: `${batchSize}`,
      fix: `use --batch-size ${datasetSize} or less (and --groups that divide it), or more images`,
    });
  }
  const stepsPerEpoch = length.stepsPerEpoch ?? passSteps;
  const steps = (count: number | undefined, epochs: number | undefined): number =>
    count ?? Math.round((epochs ?? 0) * stepsPerEpoch);
  const totalSteps = steps(length.steps, length.epochs);
  if (totalSteps < 1) {
    throw new SslError('BAD_OPTION', {
      where: 'recipes.runLength',
      expected: 'a run of at least one step',
      got: `${totalSteps} steps (${datasetSize} images, batch ${batchSize})`,
      fix: 'set --steps, or use a smaller --batch-size',
    });
  }
  const warmupSteps = steps(length.warmupSteps, length.warmupEpochs);
  return { totalSteps, warmupSteps, stepsPerEpoch };
}

/** What is scheduled in a run. */
export interface StepSchedule {
  learningRate(step: number): number;
  /** All scheduled scalars of a step's batch. */
  scalars(step: number): HostArrays;
}

/** Peak learning rate after the scaling rule. */
export function peakLearningRate({ learningRate, rule }: OptimizerConfig, batchSize: number): number {
  switch (rule) {
    case 'linear-per-256':
      return linearScaledLearningRate(learningRate, batchSize);
    case 'linear-per-1024':
      return linearScaledLearningRate(learningRate, batchSize, 1024);
    case 'sqrt-per-1024':
      return sqrtScaledLearningRate(learningRate, batchSize);
    case 'none':
      return learningRate;
  }
}

export function schedulesOf(
  { optimizer, teacher, batchSize }: FirstGenerationConfig,
  length: RunLength,
): DinoSchedules {
  return dinoSchedules({
    ...length,
    // A run that ends within its warm-up follows the same ramp as a longer one.
    totalSteps: Math.max(length.totalSteps, length.warmupSteps + 1),
    learningRate: peakLearningRate(optimizer, batchSize),
    finalLearningRate: optimizer.minLearningRate,
    weightDecay: { start: optimizer.weightDecay, end: optimizer.weightDecayEnd },
    teacherMomentum: { start: teacher.momentum, end: teacher.momentumEnd },
  });
}

/** Everything scheduled in a step's batch; what would lose digits in float32 is computed here in float64. */
export function scheduledScalars(
  step: number,
  config: FirstGenerationConfig,
  schedules: DinoSchedules,
  length: RunLength,
  groups: ParameterGroups,
  method: Method,
): HostArrays {
  const momentum = schedules.teacherMomentum(step);
  const frozenSteps = 'freezeEpochs' in config.head ? Math.round(config.head.freezeEpochs * length.stepsPerEpoch) : 0;
  const { beta1, beta2, epsilon } = config.optimizer;
  const scalars = adamWScalars(
    groups,
    {
      learningRate: schedules.learningRate(step),
      weightDecay: schedules.weightDecay(step),
      clocks: {
        [MAIN_CLOCK]: { updates: step + 1 },
        [LAST_LAYER_CLOCK]: { updates: step < frozenSteps ? 'frozen' : step + 1 - frozenSteps },
      },
    },
    { beta1, beta2, epsilon },
  );
  return {
    adamw: scalars.data,
    momentum: Float32Array.of(momentum),
    oneMinusMomentum: Float32Array.of(1 - momentum),
    ...method.scalars(step, length),
  };
}
