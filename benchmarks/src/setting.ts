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

/** What a benchmark chooses itself. */
export interface Setting {
  readonly recipe: RecipeName;
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

/** Recipes and architectures named on a command line, in any order; all of `defaults` of a kind where none is named. */
export function selection(
  words: readonly string[],
  defaults: { readonly recipes: readonly RecipeName[]; readonly archs: readonly string[] },
): { recipes: readonly RecipeName[]; archs: readonly string[] } {
  const recipes = RECIPE_NAMES.filter((name) => words.includes(name));
  const archs = words.filter((word) => word.startsWith('vit_'));
  const unknown = words.filter((word) => !archs.includes(word) && !recipes.some((name) => name === word));
  if (unknown.length > 0) {
    throw new RangeError(
      `benchmarks: expected recipes (${RECIPE_NAMES.join(', ')}) and architectures (vit_tiny, ...), got ${unknown.join(' ')}`,
    );
  }
  return {
    recipes: recipes.length > 0 ? recipes : defaults.recipes,
    archs: archs.length > 0 ? archs : defaults.archs,
  };
}
