import type { HostArrays } from '@selfsup/core';
import {
  adamWScalars,
  dinov2Schedules,
  LAST_LAYER_CLOCK,
  MAIN_CLOCK,
  simdinov2Schedules,
  type Dinov2Schedules,
  type MethodScheduleOptions,
} from '@selfsup/optim';
import type { SecondGenerationConfig } from '../config/types.js';
import { peakLearningRate, type RunLength } from '../training/schedules.js';
import type { MaskedDistillation } from './step.js';

/** Schedules of DINOv2 (inclusive ramps) or SimDINOv2 (exclusive ones, from the final learning rate). */
export function maskedSchedules(config: SecondGenerationConfig, length: RunLength): Dinov2Schedules {
  const { optimizer, teacher, batchSize } = config;
  const shared: MethodScheduleOptions = {
    // A run that ends within its warm-up follows the same ramp as a longer one.
    totalSteps: Math.max(length.totalSteps, length.warmupSteps + 1),
    warmupSteps: length.warmupSteps,
    learningRate: peakLearningRate(optimizer, batchSize),
    finalLearningRate: optimizer.minLearningRate,
    weightDecay: { start: optimizer.weightDecay, end: optimizer.weightDecayEnd },
    teacherMomentum: { start: teacher.momentum, end: teacher.momentumEnd },
  };
  const steps = (epochs: number): number => Math.round(epochs * length.stepsPerEpoch);
  if (config.recipe === 'dinov2') {
    const { start, end, warmupEpochs } = config.loss.teacherTemperature;
    return dinov2Schedules({
      ...shared,
      teacherTemperature: { start, end, warmupSteps: steps(warmupEpochs) },
      freezeLastLayerSteps: steps(config.head.freezeEpochs),
    });
  }
  const { loss } = config;
  return simdinov2Schedules({
    ...shared,
    // SimDINOv2 has neither prototypes to freeze nor a temperature.
    teacherTemperature: { start: 1, end: 1, warmupSteps: 0 },
    freezeLastLayerSteps: 0,
    // These stand still in every published run, and the step takes them from the configuration.
    alignmentWeight: { start: loss.compressionWeight },
    codingRateEps: { start: loss.codingRateEps },
    patchLossWeight: { start: loss.patchWeight },
    clipNorm: { start: optimizer.clipNorm },
  });
}

/** Everything scheduled in a step's batch; what would lose digits in float32 is computed here in float64. */
export function maskedScalars(
  step: number,
  { config, networks, method }: MaskedDistillation,
  schedules: Dinov2Schedules,
): HostArrays {
  const momentum = schedules.teacherMomentum(step);
  const { beta1, beta2, epsilon } = config.optimizer;
  const updates = step + 1;
  const scalars = adamWScalars(
    networks.groups,
    {
      learningRate: schedules.learningRate(step),
      weightDecay: schedules.weightDecay(step),
      clocks: {
        [MAIN_CLOCK]: { updates },
        // Frozen by a learning rate of 0: its moments move on.
        [LAST_LAYER_CLOCK]: { updates, learningRate: schedules.lastLayerLearningRate(step) },
      },
    },
    { beta1, beta2, epsilon },
  );
  return {
    adamw: scalars.data,
    momentum: Float32Array.of(momentum),
    oneMinusMomentum: Float32Array.of(1 - momentum),
    ...method.scalars(step, schedules),
  };
}
