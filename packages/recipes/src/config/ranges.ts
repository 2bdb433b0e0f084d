import { SslError } from '@selfsup/core';
import type { LearningRateRule, RecipeConfig } from './types.js';

const RULES: readonly LearningRateRule[] = ['linear-per-256', 'linear-per-1024', 'sqrt-per-1024', 'none'];

/** What a setting may be, judged without the others. */
interface Range {
  readonly inWords: string;
  readonly holds: (value: unknown) => boolean;
  readonly fix: string;
}

const number = (inWords: string, fix: string, holds: (value: number) => boolean): Range => ({
  inWords,
  fix,
  holds: (value) => typeof value === 'number' && Number.isFinite(value) && holds(value),
});
const whole = (least: number): Range =>
  number(`as a whole number of at least ${least}`, `use ${least} or more`, (x) => Number.isInteger(x) && x >= least);
const atLeast0 = number('as a number of at least 0', 'see the presets for usual values', (x) => x >= 0);
const above0 = number('as a number above 0', 'see the presets for usual values', (x) => x > 0);
const share = (usual: string): Range => number('in 0..1', `use ${usual}`, (x) => x >= 0 && x <= 1);
const decay = number('in 0..1, below 1', 'see the presets for usual values', (x) => x >= 0 && x < 1);

/** By path; `*` stands for any key. A setting that a recipe or run lacks is not judged. */
const RANGES: Readonly<Record<string, Range>> = {
  batchSize: whole(1),
  groups: whole(1),
  accumulate: whole(1),
  'log.*': whole(1),
  seed: {
    inWords: 'as a whole number up to 2^53',
    holds: Number.isSafeInteger,
    fix: 'use for example --seed 0',
  },
  maxBadFraction: share('0.05'),
  'length.steps': whole(1),
  'length.epochs': above0,
  'length.warmupSteps': whole(0),
  'length.warmupEpochs': atLeast0,
  'length.stepsPerEpoch': whole(1),
  'optimizer.rule': {
    inWords: `as one of ${RULES.join(', ')}`,
    holds: (value) => (RULES as readonly unknown[]).includes(value),
    fix: 'use none',
  },
  'optimizer.beta1': decay,
  'optimizer.beta2': decay,
  'optimizer.*': atLeast0,
  'teacher.momentum': share('a momentum such as 0.996'),
  'teacher.momentumEnd': share('a momentum such as 1'),
  'head.freezeEpochs': atLeast0,
  'head.prototypeNorms': { inWords: 'as frozen or trainable', holds: isNorms, fix: 'use frozen' },
  'head.*': whole(1),
  'patchHead.prototypeNorms': { inWords: 'as frozen or trainable', holds: isNorms, fix: 'use trainable' },
  'patchHead.*': whole(1),
  'loss.studentTemperature': above0,
  'loss.teacherTemperature.start': above0,
  'loss.teacherTemperature.end': above0,
  'loss.teacherTemperature.warmupEpochs': atLeast0,
  'loss.centerMomentum': share('0.9'),
  'loss.codingRateEps': above0,
  'loss.compressionWeight': atLeast0,
  'loss.clsWeight': atLeast0,
  'loss.patchWeight': atLeast0,
  'loss.koleoWeight': atLeast0,
};

function isNorms(value: unknown): boolean {
  return value === 'frozen' || value === 'trainable';
}

/** The leaves of a configuration under their paths. */
function leaves(value: unknown, path = ''): [path: string, value: unknown][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [[path, value]];
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, path === '' ? key : `${path}.${key}`));
}

const rangeOf = (path: string): Range | undefined => RANGES[path] ?? RANGES[path.replace(/[^.]+$/, '*')];

/**
 * Whole numbers and ranges that need no other setting to be judged.
 *
 * @throws SslError `BAD_OPTION`
 */
export function checkRanges(where: string, config: RecipeConfig): void {
  for (const [path, value] of leaves(config)) {
    const range = rangeOf(path);
    if (value === undefined || range === undefined || range.holds(value)) continue;
    throw new SslError('BAD_OPTION', {
      where,
      expected: `${path} ${range.inWords}`,
      got: String(value),
      fix: range.fix,
      details: { path, value },
    });
  }
}
