import { multiCropConfig } from '@selfsup/augment-multicrop';
import { VIT_ARCHITECTURES, vitConfig } from '@selfsup/backbone-vit';
import { pickNamed, SslError } from '@selfsup/core';
import { DINO_PRESETS } from '../dino/presets.js';
import { DINOV2_PRESETS } from '../dinov2/presets.js';
import { DISTILL_PRESETS } from '../distill/presets.js';
import { SIMDINO_PRESETS } from '../simdino/presets.js';
import { SIMDINOV2_PRESETS } from '../simdinov2/presets.js';
import { mergeConfig, type Overrides } from './merge.js';
import type { LearningRateRule, Preset, RecipeConfig, SecondGenerationConfig, TeacherPolicy } from './types.js';

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
  '': ['patchHead'],
  length: ['stepsPerEpoch', 'steps', 'epochs', 'warmupSteps', 'warmupEpochs'],
  backbone: Object.keys(vitConfig('vit_tiny')),
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
  let config = chosen.config;
  for (const layer of overrides) config = mergeConfig(where, config, layer, OPTIONAL_KEYS);
  const names = (key: string): boolean => overrides.some((layer) => layer[key] !== undefined);
  checkCounts(where, config);
  if (names('batchSize') && !names('groups')) {
    config = { ...config, groups: groupsOfSameSize(chosen.config, config.batchSize) };
  }
  pickNamed(where, 'an architecture', config.arch, VIT_ARCHITECTURES);
  checkConfig(where, config);
  return { config, source: chosen.source };
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

const refusal = (where: string, expected: string, got: unknown, fix: string): SslError =>
  new SslError('BAD_OPTION', { where, expected, got: String(got), fix, details: { expected, got: String(got) } });

/** Whole numbers and ranges that need no other setting to be judged. */
function checkCounts(where: string, config: RecipeConfig): void {
  const { batchSize, groups, accumulate, log, maxBadFraction, seed, optimizer } = config;
  const positive = { batchSize, groups, accumulate, ...prefixed('log', log) };
  for (const [key, value] of Object.entries(positive)) {
    if (!Number.isInteger(value) || value < 1)
      throw refusal(where, `${key} as a whole number of at least 1`, value, 'use 1 or more');
  }
  if (!Number.isSafeInteger(seed))
    throw refusal(where, 'seed as a whole number up to 2^53', seed, 'use for example --seed 0');
  if (!(maxBadFraction >= 0 && maxBadFraction <= 1))
    throw refusal(where, 'maxBadFraction in 0..1', maxBadFraction, 'use 0.05');
  const { rule, ...numbers } = optimizer;
  if (!(RULES as readonly string[]).includes(rule))
    throw refusal(where, `optimizer.rule ${RULES.join(', ')}`, rule, 'use none');
  for (const [key, value] of Object.entries(prefixed('optimizer', numbers))) {
    if (!Number.isFinite(value) || value < 0)
      throw refusal(where, `${key} as a number of at least 0`, value, 'see the presets for usual values');
  }
}

const prefixed = <T>(prefix: string, values: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [`${prefix}.${key}`, value]));

/** Momentum of the teacher as a share of what it keeps. */
function checkMomentum(where: string, { momentum, momentumEnd }: { momentum: number; momentumEnd: number }): void {
  for (const [key, value] of Object.entries({ momentum, momentumEnd })) {
    if (!(value >= 0 && value <= 1))
      throw refusal(where, `teacher.${key} in 0..1`, value, 'use a momentum such as 0.996');
  }
}

function checkConfig(where: string, config: RecipeConfig): void {
  const refuse = (expected: string, got: string, fix: string): never => {
    throw refusal(where, expected, got, fix);
  };
  const { batchSize, groups, accumulate, backbone, crops, arch } = config;
  if (batchSize % groups !== 0) {
    refuse(
      `batchSize divisible by groups (${groups})`,
      `${batchSize}`,
      `use --batch-size ${Math.max(1, Math.round(batchSize / groups)) * groups} or --groups 1`,
    );
  }
  if (batchSize % accumulate !== 0) {
    refuse(
      `batchSize divisible by accumulate (${accumulate})`,
      `${batchSize}`,
      'use an --accumulate that divides --batch-size',
    );
  }
  multiCropConfig(crops);
  if (crops.global.views.length !== 2)
    refuse('two global views', `${crops.global.views.length}`, 'list two entries in crops.global.views');
  const full = vitConfig(arch, backbone);
  if (crops.global.size !== full.imageSize) {
    refuse(
      `crops.global.size equal to backbone.imageSize (${full.imageSize})`,
      `${crops.global.size}`,
      'set both, e.g. --set crops.global.size=224 --set backbone.imageSize=224',
    );
  }
  for (const [name, size] of [
    ['global', crops.global.size],
    ...(crops.local.count > 0 ? [['local', crops.local.size]] : []),
  ] as [string, number][]) {
    if (size % full.patchSize !== 0) {
      refuse(
        `crops.${name}.size divisible by backbone.patchSize (${full.patchSize})`,
        `${size}`,
        `use ${Math.max(1, Math.round(size / full.patchSize)) * full.patchSize}`,
      );
    }
  }
  const { everySteps, images } = config.probe;
  if (everySteps !== 'auto' && !(Number.isInteger(everySteps) && everySteps >= 0))
    refuse(
      'probe.everySteps "auto", or a whole number of steps (0: never)',
      `${everySteps}`,
      'leave --probe-every out',
    );
  if (!Number.isInteger(images) || images < 3)
    refuse('probe.images of at least 3', `${images}`, 'leave --probe-images out, or turn it off with --probe-every 0');
  if (config.recipe === 'distill') {
    const { clsWeight, patchWeight } = config.loss;
    if (!(clsWeight >= 0 && patchWeight >= 0 && clsWeight + patchWeight > 0))
      refuse(
        'loss.clsWeight and loss.patchWeight of at least 0, one above',
        `${clsWeight}, ${patchWeight}`,
        'use 1, 1',
      );
    return;
  }
  checkMomentum(where, config.teacher);
  if ('masks' in config) checkMasks(where, config);
  if (!(POLICIES as readonly string[]).includes(config.teacher.policy))
    refuse(`teacher.policy ${POLICIES.join(', ')}`, config.teacher.policy, 'use ema');
  // Cross entropies take targets as constants, and parts of a step know the targets of the others as numbers only.
  if (config.teacher.policy === 'none' && (config.recipe === 'dino' || accumulate > 1))
    refuse(
      'teacher.policy "none" with SimDINO in one part only',
      `${config.recipe}, accumulate ${accumulate}`,
      'use student-stopgrad',
    );
}

const POLICIES: readonly TeacherPolicy[] = ['ema', 'student-stopgrad', 'none'];
const RULES: readonly LearningRateRule[] = ['linear-per-256', 'sqrt-per-1024', 'none'];

/** Blocks are smaller than the grid and have four patches or more. */
const SMALLEST_MASKED_GRID = 3;

function checkMasks(where: string, config: SecondGenerationConfig): void {
  const refuse = (key: string, expected: string, got: unknown, fix: string): never => {
    throw new SslError('BAD_OPTION', {
      where,
      expected: `${key} ${expected}`,
      got: JSON.stringify(got),
      fix,
      details: { key, value: got },
    });
  };
  const share = (value: unknown): boolean => typeof value === 'number' && value >= 0 && value <= 1;
  const { masks, batchSize, groups, teacher, patchHead } = config;
  if (!share(masks.probability)) refuse('masks.probability', 'in 0..1', masks.probability, 'use 0.5 as published');
  if (masks.ratio.length !== 2 || !masks.ratio.every(share) || masks.ratio[0] > masks.ratio[1]) {
    refuse('masks.ratio', 'as two shares in 0..1, the smaller first', masks.ratio, 'use [0.1, 0.5] as published');
  }
  const { imageSize, patchSize } = vitConfig(config.arch, config.backbone);
  const grid = Math.floor(imageSize / patchSize);
  if (masks.probability > 0 && grid < SMALLEST_MASKED_GRID) {
    refuse(
      'backbone.imageSize',
      `of at least ${SMALLEST_MASKED_GRID} x ${SMALLEST_MASKED_GRID} patches of ${patchSize}, for blocks of masked ones`,
      imageSize,
      `use images of ${SMALLEST_MASKED_GRID * patchSize} pixels, smaller patches, or --set masks.probability=0`,
    );
  }
  const missing = Object.keys(config.head).filter(
    (key) => key !== 'freezeEpochs' && !(key in (patchHead ?? config.head)),
  );
  if (missing.length > 0) refuse('patchHead', `with ${missing.join(', ')} too`, patchHead, 'set every key of the head');
  if (teacher.policy === 'none')
    refuse('teacher.policy', 'ema or student-stopgrad', teacher.policy, 'use ema as published');
  if (config.recipe !== 'dinov2') return;
  const { targets, koleoWeight } = config.loss;
  if (!['centering', 'sinkhorn-knopp'].includes(targets))
    refuse('loss.targets', 'centering or sinkhorn-knopp', targets, 'use centering');
  if (koleoWeight !== 0 && batchSize / groups < 2) {
    refuse(
      'batchSize',
      'of at least two images in each group: KoLeo looks for neighbours',
      batchSize,
      'use a larger --batch-size, fewer --groups, or --set loss.koleoWeight=0',
    );
  }
}
