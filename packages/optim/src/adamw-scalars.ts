import { type HostTensor, pickNamed, SslError, type TensorSpec } from '@selfsup/core';
import type { ParameterGroups } from './parameter-groups.js';

/** Where a clock stands in this step. */
export interface AdamWClock {
  /**
   * Updates the clock has made when this step is done: 1 in its first. `frozen`: parameters and moments stay exactly
   * as they are and nothing is counted (DINO's last layer, whose gradient the authors drop).
   */
  readonly updates: number | 'frozen';
  /**
   * Learning rate of this clock instead of the step's. With 0 parameters stay, but moments move on (DINOv2's last
   * layer).
   */
  readonly learningRate?: number;
}

/** Settings of one step. */
export interface AdamWStep {
  readonly learningRate: number;
  readonly weightDecay: number;
  /** By the names of the groups' clocks. */
  readonly clocks: Readonly<Record<string, AdamWClock>>;
}

/** Constants of the optimiser. */
export interface AdamWConstants {
  /** Decay of the first moment; {@link ADAMW_DEFAULTS} by default, as the others. */
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
}

/** What all four methods use. */
export const ADAMW_DEFAULTS: Required<AdamWConstants> = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

/** Columns of the scalars of a step, one row per parameter group; `secondGain` applies before squaring. */
export const ADAMW_COLUMNS = [
  'firstDecay',
  'firstGain',
  'secondDecay',
  'secondGain',
  'epsilon',
  'stepSize',
  'parameterDecay',
] as const;

/** Shape and type of {@link adamWScalars}, for the batch of a compiled step. */
export function adamWScalarsSpec(groups: ParameterGroups): TensorSpec {
  return { shape: [groups.groups.length, ADAMW_COLUMNS.length], dtype: 'f32' };
}

/**
 * The numbers that {@link adamW} needs in one step, computed in float64: learning rate, weight decay and bias
 * corrections folded together for every parameter group. A frozen clock gets numbers that leave everything as it is, so
 * one compiled step serves frozen and moving phases.
 *
 * With t updates, c = sqrt(1 - beta2^t) and s = learningRate / (1 - beta1^t), PyTorch's
 * p (1 - lr wd) - s m / (sqrt(v) / c + eps) becomes p (1 - lr wd) - (s c) m / (sqrt(v) + c eps).
 *
 * @returns float32 `[groups, 7]`, columns as in {@link ADAMW_COLUMNS}
 * @throws SslError `UNKNOWN_NAME` if a group's clock is missing; `BAD_OPTION`
 *
 * @example
 * const scalars = adamWScalars(groups, {
 *   learningRate: learningRate(step),
 *   weightDecay: weightDecay(step),
 *   clocks: {
 *     main: { updates: step + 1 },
 *     lastLayer: { updates: step < freezeSteps ? 'frozen' : step + 1 - freezeSteps },
 *   },
 * });
 */
export function adamWScalars(groups: ParameterGroups, step: AdamWStep, constants: AdamWConstants = {}): HostTensor {
  const settings = { ...ADAMW_DEFAULTS, ...constants };
  checkNumbers(step, settings);
  const rows = groups.groups.map((group) => {
    const clock = pickNamed('optim.adamWScalars', 'a clock', group.clock, step.clocks);
    const { updates, learningRate = step.learningRate } = clock;
    if (updates === 'frozen') return [1, 0, 1, 0, settings.epsilon, 0, 1];
    checkUpdates(group.clock, updates);
    const { beta1, beta2, epsilon } = settings;
    const rate = learningRate * group.learningRateMultiplier;
    const c = Math.sqrt(1 - beta2 ** updates);
    const stepSize = (rate * c) / (1 - beta1 ** updates);
    const decay = 1 - rate * step.weightDecay * group.weightDecayMultiplier;
    return [beta1, 1 - beta1, beta2, Math.sqrt(1 - beta2), epsilon * c, stepSize, decay];
  });
  return { ...adamWScalarsSpec(groups), data: Float32Array.from(rows.flat()) };
}

function checkNumbers(step: AdamWStep, constants: Required<AdamWConstants>): void {
  const { learningRate, weightDecay } = step;
  const { beta1, beta2, epsilon } = constants;
  const rates = Object.fromEntries(
    Object.entries(step.clocks).map(([name, clock]) => [`learning rate of ${name}`, clock.learningRate ?? 0]),
  );
  for (const [name, value] of Object.entries({ learningRate, weightDecay, ...rates })) {
    if (!(value >= 0 && value < Infinity)) throw badNumber(name, 'at least 0', value);
  }
  for (const [name, value] of Object.entries({ beta1, beta2 })) {
    if (!(value >= 0 && value < 1)) throw badNumber(name, 'in [0, 1)', value);
  }
  if (!(epsilon > 0)) throw badNumber('epsilon', 'greater than 0', epsilon);
}

function checkUpdates(clock: string, updates: number): void {
  if (!Number.isInteger(updates) || updates < 1)
    throw badNumber(`updates of ${clock}`, 'an integer of 1 or more', updates);
}

function badNumber(name: string, rule: string, value: number): SslError {
  return new SslError('BAD_OPTION', {
    where: 'optim.adamWScalars',
    expected: `${name} ${rule}`,
    got: `${value}`,
    fix: `pass a valid ${name}`,
    details: { name, value },
  });
}
