// The settings of a recipe that both sides of a benchmark share: the published ones, on a network and a batch that fit.
import { resolveConfig, type RecipeConfig } from '@selfsup/recipes';

/** Presets with the published head and losses; `peers/recipes.py` holds the same. */
const PRESETS = {
  simdino: 'imagenet-vitb16',
  dino: 'imagenet-vits16',
  dinov2: 'imagenet-vitl16-short',
  simdinov2: 'imagenet-vitb16',
} as const;

export type RecipeName = keyof typeof PRESETS;

export const RECIPE_NAMES = Object.keys(PRESETS) as RecipeName[];

export const presetOf = (recipe: RecipeName): string => PRESETS[recipe];

/** What runs our side: an engine, and for XLA on how many virtual devices. */
export const ENGINES = {
  onnxruntime: { engine: 'onnxruntime' },
  xla: { engine: 'xla' },
  'xla-2-devices': { engine: 'xla', devices: 2 },
} as const;

export type EngineSetting = keyof typeof ENGINES;

/** What a benchmark chooses itself. */
export interface Setting {
  readonly recipe: RecipeName;
  /** `onnxruntime` by default. */
  readonly engine?: EngineSetting;
  readonly arch: string;
  readonly batchSize: number;
  readonly localCrops: number;
  /** 1 by default. */
  readonly groups?: number;
  /** 1 by default. */
  readonly accumulate?: number;
}

/** The configuration of a setting. @throws SslError for names nobody knows */
export function configOf({ recipe, arch, batchSize, localCrops, groups = 1, accumulate = 1 }: Setting): RecipeConfig {
  const changes = { arch, batchSize, groups, accumulate, crops: { local: { count: localCrops } } };
  return resolveConfig({ recipe, preset: PRESETS[recipe], overrides: [changes] }).config;
}

/** Names on a command line, by kind. */
export interface Selection {
  readonly recipes: readonly RecipeName[];
  readonly archs: readonly string[];
  readonly engines: readonly EngineSetting[];
}

/** Engines where a command names none. */
const DEFAULT_ENGINES: readonly EngineSetting[] = ['onnxruntime'];

/** Recipes, architectures and engines named, in any order; all of `defaults` of a kind where none is named. */
export function selection(words: readonly string[], defaults: Omit<Selection, 'engines'>): Selection {
  const recipes = RECIPE_NAMES.filter((name) => words.includes(name));
  const archs = words.filter((word) => word.startsWith('vit_'));
  const engines = (Object.keys(ENGINES) as EngineSetting[]).filter((name) => words.includes(name));
  const known: readonly string[] = [...recipes, ...archs, ...engines];
  const unknown = words.filter((word) => !known.includes(word));
  if (unknown.length > 0) {
    throw new RangeError(
      `benchmarks: expected recipes (${RECIPE_NAMES.join(', ')}), architectures (vit_tiny, ...) and engines ` +
        `(${Object.keys(ENGINES).join(', ')}), got ${unknown.join(' ')}`,
    );
  }
  const chosen = <T>(named: readonly T[], all: readonly T[]): readonly T[] => (named.length > 0 ? named : all);
  return {
    recipes: chosen(recipes, defaults.recipes),
    archs: chosen(archs, defaults.archs),
    engines: chosen(engines, DEFAULT_ENGINES),
  };
}
