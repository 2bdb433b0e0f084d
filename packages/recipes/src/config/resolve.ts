import { MULTI_CROP_PRESETS } from '@selfsup/augment-multicrop';
import { VIT_ARCHITECTURES, vitConfig } from '@selfsup/backbone-vit';
import { pickNamed } from '@selfsup/core';
import { DINO_PRESETS } from '../dino/presets.js';
import { DINOV2_PRESETS } from '../dinov2/presets.js';
import { DISTILL_PRESETS } from '../distill/presets.js';
import { SIMDINO_PRESETS } from '../simdino/presets.js';
import { SIMDINOV2_PRESETS } from '../simdinov2/presets.js';
import { checkConfig } from './check.js';
import { mergeConfig, type Overrides } from './merge.js';
import { checkRanges } from './ranges.js';
import type { Preset, RecipeConfig } from './types.js';

/** Recipes by name, with the presets each knows and the one taken when none is named. */
export const RECIPES: Readonly<
  Record<string, { readonly presets: Readonly<Record<string, Preset>>; readonly defaultPreset: string }>
> = {
  simdino: { presets: SIMDINO_PRESETS, defaultPreset: 'imagenet-vitb16' },
  dino: { presets: DINO_PRESETS, defaultPreset: 'imagenet-vits16' },
  dinov2: { presets: DINOV2_PRESETS, defaultPreset: 'imagenet-vitl16-short' },
  simdinov2: { presets: SIMDINOV2_PRESETS, defaultPreset: 'imagenet-vitl16' },
  distill: { presets: DISTILL_PRESETS, defaultPreset: 'single-gpu' },
};

/** Keys a preset may leave out. */
const OPTIONAL_KEYS = {
  length: ['stepsPerEpoch', 'steps', 'epochs', 'warmupSteps', 'warmupEpochs'],
  backbone: Object.keys(vitConfig('vit_tiny')),
  'crops.local.view': Object.keys(MULTI_CROP_PRESETS.dino.view),
  // Of a frozen teacher, filled in when it is read.
  'teacher.backbone': Object.keys(vitConfig('vit_tiny')),
};

export interface ResolveOptions {
  readonly recipe: string;
  readonly preset?: string | undefined;
  /** Layers of changes, later ones win: configuration file, flags, single settings. */
  readonly overrides?: readonly Overrides[];
}

/**
 * Preset, then every layer of overrides in turn.
 *
 * @throws SslError `UNKNOWN_NAME` for a recipe, preset or architecture that does not exist, `BAD_OPTION` for an unknown
 * key or impossible value; both suggest the nearest name
 */
export function resolveConfig({ recipe, preset, overrides = [] }: ResolveOptions): {
  config: RecipeConfig;
  source: string;
} {
  const where = 'recipes.resolveConfig';
  const { presets, defaultPreset } = pickNamed(where, 'a recipe', recipe, RECIPES);
  const chosen = pickNamed(where, `a preset of ${recipe}`, preset ?? defaultPreset, presets);
  let config = withPatchHead(chosen.config, overrides);
  for (const layer of overrides) config = mergeConfig(where, config, layer, OPTIONAL_KEYS);
  const names = (key: string): boolean => overrides.some((layer) => layer[key] !== undefined);
  checkRanges(where, config);
  if (names('batchSize') && !names('groups')) {
    config = { ...config, groups: groupsOfSameSize(chosen.config, config.batchSize) };
  }
  pickNamed(where, 'an architecture', config.arch, VIT_ARCHITECTURES);
  checkConfig(where, config);
  return { config, source: chosen.source };
}

/** A head for the patches, where one is asked for, starts as the one they share with the CLS token. */
function withPatchHead(config: RecipeConfig, overrides: readonly Overrides[]): RecipeConfig {
  const asked = overrides.some(({ patchHead }) => patchHead !== undefined);
  if (!asked || !('masks' in config) || config.patchHead !== undefined) return config;
  const patchHead = Object.fromEntries(Object.entries(config.head).filter(([key]) => key !== 'freezeEpochs'));
  return { ...config, patchHead } as RecipeConfig;
}

/**
 * Groups for another batch size: as many as keep a group at least as large as the preset's, since its statistics are what
 * the method depends on.
 */
function groupsOfSameSize({ batchSize, groups }: RecipeConfig, newBatchSize: number): number {
  let most = Math.max(1, Math.floor(newBatchSize / (batchSize / groups)));
  while (newBatchSize % most !== 0) most--;
  return most;
}
