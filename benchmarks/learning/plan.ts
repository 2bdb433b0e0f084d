// What is compared: settings, seeds, lengths. Both sides get the resolved configuration, so nothing is said twice.
import { resolveConfig, type Overrides, type RecipeConfig } from '@selfsup/recipes';

export const SIDES = ['ours', 'reference'] as const;
export type Side = (typeof SIDES)[number];

/** One training run on one side. */
export interface PlannedRun {
  readonly side: Side;
  readonly recipe: string;
  /** `base`, or what is changed. */
  readonly variant: string;
  readonly seed: number;
  readonly steps: number;
  readonly config: RecipeConfig;
}

/** Length of the compared runs, and of those of the part `long`. */
export const STEPS = Number(process.env['STEPS'] ?? 400);
export const LONG_STEPS = 5 * STEPS;
/** Steps between evaluations. */
export const EVALUATE_EVERY = Math.max(1, Math.floor(STEPS / 8));
export const NEIGHBOURS = 20;
export const VOTE_TEMPERATURE = 0.07;

/** The parts of the benchmark, in the order they are run. */
export const PARTS = ['same-crops', 'base', 'second', 'sensitivity', 'long', 'cost'] as const;
export type Part = (typeof PARTS)[number];

const SEEDS = [0, 1, 2];
export const RECIPES = ['simdino', 'dino', 'simdinov2', 'dinov2'] as const;

/** Shared by all methods: a vision transformer for 32-pixel pictures, and a teacher fast enough for short runs. */
const SHARED = {
  backbone: { width: 96, depth: 4, heads: 3, patchSize: 8, imageSize: 32 },
  teacher: { momentum: 0.97 },
  batchSize: 64,
  groups: 1,
} as const;

/** From short runs beforehand. */
const LEARNING_RATE: Readonly<Record<string, number>> = { simdino: 1e-3, dino: 5e-4, simdinov2: 1e-3, dinov2: 5e-4 };

/** One of SimDINO's published groups: 64 pictures, 256 features, eps 0.05; E_max = 0.45 and E_col follow. */
const CODING_RATE = { head: { width: 256 }, loss: { codingRateEps: 0.05 } } as const;

const baseOf = (recipe: string): Overrides => ({
  ...SHARED,
  optimizer: { learningRate: LEARNING_RATE[recipe] },
  ...(recipe.startsWith('sim') ? CODING_RATE : {}),
});

/** The settings of a run: this project's `cifar-tiny` preset with the changes above and those of a variant. */
export function configOf(
  recipe: string,
  seed: number,
  steps: number,
  changes: readonly Overrides[] = [],
): RecipeConfig {
  const length = { length: { steps, warmupSteps: Math.round(steps / 8) } };
  return resolveConfig({ recipe, preset: 'cifar-tiny', overrides: [baseOf(recipe), length, { seed }, ...changes] })
    .config;
}

/** One setting at a time, a quarter and four times (batch size: half and twice) of the base's, which `base` runs. */
const VARIANTS: Readonly<Record<string, Readonly<Record<string, Overrides>>>> = {
  simdino: {
    'eps / 4': { loss: { codingRateEps: 0.0125 } },
    'eps x 4': { loss: { codingRateEps: 0.2 } },
    ...aroundBase('simdino'),
  },
  dino: {
    'teacher temperature / 2': { loss: { teacherTemperature: { start: 0.02, end: 0.035 } } },
    'teacher temperature x 2': { loss: { teacherTemperature: { start: 0.08, end: 0.14 } } },
    ...aroundBase('dino'),
  },
};

function aroundBase(recipe: string): Record<string, Overrides> {
  const { batchSize, groups } = SHARED;
  return {
    'learning rate / 4': { optimizer: { learningRate: LEARNING_RATE[recipe] / 4 } },
    'learning rate x 4': { optimizer: { learningRate: LEARNING_RATE[recipe] * 4 } },
    'batch size / 2': { batchSize: batchSize / 2, groups },
    'batch size x 2': { batchSize: batchSize * 2, groups },
  };
}

/** The runs of a part, two at a time. */
export function planOf(part: Part): PlannedRun[][] {
  const run = (side: Side, recipe: string, seed: number, variant = 'base', steps = STEPS): PlannedRun => ({
    side,
    recipe,
    variant,
    seed,
    steps,
    config: configOf(recipe, seed, steps, [VARIANTS[recipe]?.[variant] ?? {}]),
  });
  const bothSides = (recipe: string, seed: number, steps = STEPS): PlannedRun[] =>
    SIDES.map((side) => run(side, recipe, seed, 'base', steps));
  switch (part) {
    case 'base':
      return ['simdino', 'dino'].flatMap((recipe) => SEEDS.map((seed) => bothSides(recipe, seed)));
    case 'second':
      return [bothSides('simdinov2', 0), bothSides('dinov2', 0)];
    case 'sensitivity':
      return Object.entries(VARIANTS).flatMap(([recipe, variants]) =>
        inPairs(Object.keys(variants).map((variant) => run('ours', recipe, 0, variant))),
      );
    case 'long':
      return [bothSides('simdino', 0, LONG_STEPS), bothSides('dino', 0, LONG_STEPS)];
    default:
      return [];
  }
}

function inPairs<T>(items: readonly T[]): T[][] {
  return items.flatMap((_, i) => (i % 2 === 0 ? [items.slice(i, i + 2)] : []));
}
