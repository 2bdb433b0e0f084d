import { SslError } from '@selfsup/core';

/** A value for every step, counted from 0. Pure, in float64 on the host. */
export type Schedule = (step: number) => number;

/**
 * Whether a ramp of W steps reaches its end value in its last step (`inclusive`: numpy's `linspace`; DINO, DINOv2) or
 * in the step after it (`exclusive`; SimDINOv2).
 */
export type Ramp = 'inclusive' | 'exclusive';

/** Phases of a schedule, in this order: freeze (value 0), warm-up, peak, decay; then the final value. */
export interface ScheduleOptions {
  /** Value at the end of the warm-up and at the start of the decay. */
  readonly base: number;
  /** Value from `totalSteps` on. */
  readonly final: number;
  /** Steps of all phases together. Smaller than the phases before the decay leaves the decay out. */
  readonly totalSteps: number;
  /** Steps of the linear ramp from `warmupStart` to `base`; 0 by default. */
  readonly warmupSteps?: number;
  /** First value of the ramp; 0 by default. */
  readonly warmupStart?: number;
  /** `inclusive` by default. */
  readonly ramp?: Ramp;
  /** Steps with value 0 before the warm-up, which starts that much later; 0 by default. */
  readonly freezeSteps?: number;
  /** Steps that stay at `base` between warm-up and decay; 0 by default. */
  readonly peakSteps?: number;
  /** The first steps whose value is replaced by 0, all else staying where it is; 0 by default. */
  readonly zeroedSteps?: number;
}

/**
 * Cosine decay, final + 1/2 (base - final) (1 + cos(pi j / J)) over the J steps after the warm-up: DINO's
 * `cosine_scheduler`, DINOv2's and SimDINOv2's `CosineScheduler`.
 *
 * @throws SslError `BAD_OPTION`
 *
 * @example
 * const learningRate = cosineSchedule({ base: 1e-3, final: 1e-6, totalSteps: 1000, warmupSteps: 100 });
 * learningRate(0); // 0
 */
export function cosineSchedule(options: ScheduleOptions): Schedule {
  const { base, final } = options;
  return phases('optim.cosineSchedule', options, (progress) => {
    return final + 0.5 * (base - final) * (1 + Math.cos(Math.PI * progress));
  });
}

/**
 * Linear decay from base to final after the warm-up: SimDINOv2's `LinearScheduler`.
 *
 * @throws SslError `BAD_OPTION`
 */
export function linearSchedule(options: ScheduleOptions): Schedule {
  const { base, final } = options;
  return phases('optim.linearSchedule', options, (progress) => base + (final - base) * progress);
}

/** Options of {@link teacherTemperatureSchedule}. */
export interface TeacherTemperatureOptions {
  /** Temperature of the first step. */
  readonly start: number;
  /** Temperature after the ramp. */
  readonly end: number;
  /** Steps of the ramp; 0 for a constant temperature. */
  readonly warmupSteps: number;
  /** `inclusive` by default. */
  readonly ramp?: Ramp;
}

/**
 * Teacher temperature: a linear ramp, then constant. DINO counts its ramp in epochs, see {@link perEpoch}.
 *
 * @throws SslError `BAD_OPTION`
 */
export function teacherTemperatureSchedule({ start, end, warmupSteps, ramp }: TeacherTemperatureOptions): Schedule {
  return cosineSchedule({
    base: end,
    final: end,
    totalSteps: warmupSteps,
    warmupSteps,
    warmupStart: start,
    ...(ramp === undefined ? {} : { ramp }),
  });
}

/**
 * A schedule that moves once per epoch, made from one that counts epochs.
 *
 * @throws SslError `BAD_OPTION` if `stepsPerEpoch` is not a positive integer
 *
 * @example
 * const temperature = perEpoch(teacherTemperatureSchedule({ start: 0.04, end: 0.07, warmupSteps: 30 }), 2502);
 */
export function perEpoch(schedule: Schedule, stepsPerEpoch: number): Schedule {
  checkCount('optim.perEpoch', 'stepsPerEpoch', stepsPerEpoch, 1);
  return (step) => schedule(Math.floor(step / stepsPerEpoch));
}

/** The phases that all schedules share; `decay` takes the progress of its phase, from 0 up to but not including 1. */
function phases(where: string, options: ScheduleOptions, decay: (progress: number) => number): Schedule {
  const { base, final, totalSteps, warmupSteps = 0, warmupStart = 0, ramp = 'inclusive' } = options;
  const { freezeSteps = 0, peakSteps = 0, zeroedSteps = 0 } = options;
  for (const [name, value] of Object.entries({ base, final, warmupStart })) checkFinite(where, name, value);
  for (const [name, value] of Object.entries({ totalSteps, warmupSteps, freezeSteps, peakSteps, zeroedSteps })) {
    checkCount(where, name, value, 0);
  }
  const warmupEnd = freezeSteps + warmupSteps;
  const decayStart = warmupEnd + peakSteps;
  // A ramp of one step stays at its start, as linspace does.
  const rampSteps = ramp === 'exclusive' ? warmupSteps : Math.max(1, warmupSteps - 1);
  return (step) => {
    if (step < zeroedSteps || step < freezeSteps) return 0;
    if (step < warmupEnd) return warmupStart + ((base - warmupStart) * (step - freezeSteps)) / rampSteps;
    if (step < decayStart) return base;
    if (step < totalSteps) return decay((step - decayStart) / (totalSteps - decayStart));
    return final;
  };
}

function checkFinite(where: string, name: string, value: number): void {
  if (Number.isFinite(value)) return;
  throw new SslError('BAD_OPTION', {
    where,
    expected: `a finite ${name}`,
    got: `${value}`,
    fix: `pass a number for ${name}`,
    details: { name, value },
  });
}

function checkCount(where: string, name: string, value: number, least: number): void {
  if (Number.isInteger(value) && value >= least) return;
  throw new SslError('BAD_OPTION', {
    where,
    expected: `${name} as an integer of at least ${least}`,
    got: `${value}`,
    fix: `pass a whole number of steps for ${name}`,
    details: { name, value, least },
  });
}
