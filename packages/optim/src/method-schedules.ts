import {
  cosineSchedule,
  perEpoch,
  type Schedule,
  type ScheduleOptions,
  teacherTemperatureSchedule,
} from './schedule.js';

/** A value that moves from `start` to `end` over a run. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Options that all methods share; every count is in steps. */
export interface MethodScheduleOptions {
  readonly totalSteps: number;
  /** Peak, after scaling with the batch size. */
  readonly learningRate: number;
  readonly finalLearningRate: number;
  readonly warmupSteps: number;
  readonly weightDecay: Span;
  /** Momentum of the teacher; its end is 1 in every published recipe. */
  readonly teacherMomentum: Span;
}

/** Options of {@link dinoSchedules}. */
export interface DinoScheduleOptions extends MethodScheduleOptions {
  readonly stepsPerEpoch: number;
  /** DINO's ramp moves once per epoch. SimDINO has no temperature: leave it out. */
  readonly teacherTemperature?: Span & { readonly warmupEpochs: number };
}

/** The schedules of one method, by what they are for. */
export interface DinoSchedules {
  readonly learningRate: Schedule;
  readonly weightDecay: Schedule;
  readonly teacherMomentum: Schedule;
  /** Constant 1 where there is no temperature. */
  readonly teacherTemperature: Schedule;
}

/** Schedules of DINO and SimDINO (`main_dino.py`): inclusive warm-up from 0, cosine decay, temperature per epoch. */
export function dinoSchedules(options: DinoScheduleOptions): DinoSchedules {
  const { teacherTemperature: temperature, stepsPerEpoch } = options;
  return {
    ...sharedSchedules(options),
    learningRate: cosineSchedule(learningRateOptions(options, 0)),
    teacherTemperature:
      temperature === undefined
        ? () => 1
        : perEpoch(
            teacherTemperatureSchedule({ ...temperature, warmupSteps: temperature.warmupEpochs }),
            stepsPerEpoch,
          ),
  };
}

/** Options of {@link dinov2Schedules}. */
export interface Dinov2ScheduleOptions extends MethodScheduleOptions {
  readonly teacherTemperature: Span & { readonly warmupSteps: number };
  /** Steps in which the last layer's learning rate is 0. */
  readonly freezeLastLayerSteps: number;
}

/** Schedules of DINOv2. */
export interface Dinov2Schedules extends DinoSchedules {
  readonly lastLayerLearningRate: Schedule;
}

/** Schedules of DINOv2 (`build_schedulers`): inclusive ramps, warm-up from 0, everything per step. */
export function dinov2Schedules(options: Dinov2ScheduleOptions): Dinov2Schedules {
  const learningRate = learningRateOptions(options, 0);
  return {
    ...sharedSchedules(options),
    learningRate: cosineSchedule(learningRate),
    lastLayerLearningRate: cosineSchedule({ ...learningRate, zeroedSteps: options.freezeLastLayerSteps }),
    teacherTemperature: teacherTemperatureSchedule(options.teacherTemperature),
  };
}

/** A loss setting that may move: constant without `end`. */
export interface MovingSetting {
  readonly start: number;
  readonly end?: number;
  /** Steps until `end` is reached; the whole run by default. */
  readonly totalSteps?: number;
}

/** Options of {@link simdinov2Schedules}. */
export interface Simdinov2ScheduleOptions extends Dinov2ScheduleOptions {
  /** Steps at the peak learning rate between warm-up and decay; 0 by default. */
  readonly peakSteps?: number;
  /** Weight of the alignment term (the authors' `coeff`). */
  readonly alignmentWeight: MovingSetting;
  /** Distortion of the coding rate (the authors' `eps`). */
  readonly codingRateEps: MovingSetting;
  /** Weight of the patch loss; computed as the authors do, who never use it. */
  readonly patchLossWeight: MovingSetting & { readonly warmupSteps?: number; readonly freezeSteps?: number };
  /** Largest gradient norm of a sub-module. */
  readonly clipNorm: MovingSetting;
}

/** Schedules of SimDINOv2. */
export interface Simdinov2Schedules extends Dinov2Schedules {
  readonly alignmentWeight: Schedule;
  readonly codingRateEps: Schedule;
  readonly patchLossWeight: Schedule;
  readonly clipNorm: Schedule;
}

/** Schedules of SimDINOv2 (`build_schedulers`): exclusive ramps, warm-up from the final learning rate. */
export function simdinov2Schedules(options: Simdinov2ScheduleOptions): Simdinov2Schedules {
  const { totalSteps, peakSteps = 0 } = options;
  const moving = (setting: MovingSetting & Pick<ScheduleOptions, 'warmupSteps' | 'freezeSteps'>): Schedule => {
    const { start, end, totalSteps: ownSteps = totalSteps, ...ramp } = setting;
    const decay = end === undefined ? { final: start, totalSteps: 0 } : { final: end, totalSteps: ownSteps };
    return cosineSchedule({ ...ramp, ...decay, base: start, ramp: 'exclusive' });
  };
  const learningRate: ScheduleOptions = {
    ...learningRateOptions(options, options.finalLearningRate),
    peakSteps,
    ramp: 'exclusive',
  };
  return {
    ...sharedSchedules(options),
    learningRate: cosineSchedule(learningRate),
    lastLayerLearningRate: cosineSchedule({ ...learningRate, zeroedSteps: options.freezeLastLayerSteps }),
    teacherTemperature: teacherTemperatureSchedule({ ...options.teacherTemperature, ramp: 'exclusive' }),
    alignmentWeight: moving(options.alignmentWeight),
    codingRateEps: moving(options.codingRateEps),
    patchLossWeight: moving(options.patchLossWeight),
    clipNorm: moving(options.clipNorm),
  };
}

function learningRateOptions(options: MethodScheduleOptions, warmupStart: number): ScheduleOptions {
  const { learningRate: base, finalLearningRate: final, totalSteps, warmupSteps } = options;
  return { base, final, totalSteps, warmupSteps, warmupStart };
}

function sharedSchedules(options: MethodScheduleOptions): Pick<DinoSchedules, 'weightDecay' | 'teacherMomentum'> {
  const over = ({ start, end }: Span): Schedule =>
    cosineSchedule({ base: start, final: end, totalSteps: options.totalSteps });
  return { weightDecay: over(options.weightDecay), teacherMomentum: over(options.teacherMomentum) };
}
