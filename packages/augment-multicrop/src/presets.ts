import { pickNamed } from '@selfsup/core';
import { resolveViews, type MultiCropConfig, type ViewOptions, type ViewOverrides } from './config.js';

const DINO_VIEW: ViewOptions = {
  ratio: [3 / 4, 4 / 3],
  interpolation: 'bicubic',
  flipProbability: 0.5,
  jitterProbability: 0.8,
  brightness: 0.4,
  contrast: 0.4,
  saturation: 0.2,
  hue: 0.1,
  grayscaleProbability: 0.2,
  blurProbability: 0.5,
  blurKernel: 'pillow',
  blurSigma: [0.1, 2],
  solarizeProbability: 0,
  solarizeThreshold: 128,
};

/** Second-generation code blurs 8-bit pictures with torchvision. */
const DINOV2_VIEW: ViewOptions = { ...DINO_VIEW, blurKernel: 'torchvision' };

/** Blur always, then hardly ever but with solarizing. */
const DINO_GLOBAL_VIEWS: readonly ViewOverrides[] = [
  { blurProbability: 1 },
  { blurProbability: 0.1, solarizeProbability: 0.2 },
];

const DINO: MultiCropConfig = {
  view: DINO_VIEW,
  global: { size: 224, scale: [0.4, 1], views: DINO_GLOBAL_VIEWS },
  local: { size: 96, scale: [0.05, 0.4], count: 8, view: {} },
};

const DINOV2: MultiCropConfig = {
  view: DINOV2_VIEW,
  global: {
    size: 224,
    scale: [0.32, 1],
    // The authors' code takes the probability of 1.0 / 0.1 / 0.5 for its complement; the released weights saw these.
    views: [{ blurProbability: 0 }, { blurProbability: 0.9, solarizeProbability: 0.2 }],
  },
  local: { size: 96, scale: [0.05, 0.32], count: 8, view: {} },
};

const SIMDINOV2: MultiCropConfig = {
  view: DINOV2_VIEW,
  global: { size: 224, scale: [0.4, 1], views: DINO_GLOBAL_VIEWS },
  local: { size: 96, scale: [0.05, 0.4], count: 10, view: {} },
};

/**
 * The augmentation of each method as its code runs it by default. Published runs differ: DINO ViT-S/B scale (0.25, 1)
 * and (0.05, 0.25) with 10 local views, SimDINO 10 local views, DINOv2 with patch 14 local size 98.
 */
export const MULTI_CROP_PRESETS = {
  dino: DINO,
  simdino: DINO,
  dinov2: DINOV2,
  simdinov2: SIMDINOV2,
} as const satisfies Readonly<Record<string, MultiCropConfig>>;

export type MultiCropPreset = keyof typeof MULTI_CROP_PRESETS;

/** Changes to a configuration, by name. */
export interface MultiCropChanges {
  readonly view?: ViewOverrides;
  readonly global?: Partial<MultiCropConfig['global']>;
  readonly local?: Partial<MultiCropConfig['local']>;
}

function checkNames(at: string, given: object, known: object): void {
  for (const name of Object.keys(given)) {
    pickNamed('augment-multicrop.multiCropConfig', `an option of ${at}`, name, { ...known }, 'BAD_OPTION');
  }
}

/** Overrides less the options that were just set for all views. */
function without(overrides: ViewOverrides, changed: ViewOverrides): ViewOverrides {
  return Object.fromEntries(Object.entries(overrides).filter(([name]) => !Object.hasOwn(changed, name)));
}

/**
 * A preset (or a configuration) with changes. What `changes.view` sets holds for every view: overrides of that option in
 * the base are dropped. `changes.global.views` and `changes.local.view` replace the base's overrides.
 *
 * @throws SslError `BAD_OPTION` on an unknown option, suggesting the nearest, or a value out of range; `UNKNOWN_NAME` on
 * an unknown preset
 *
 * @example
 * const config = multiCropConfig('simdino', { global: { size: 32 }, local: { size: 16, count: 4 }, view: { blurProbability: 0 } });
 */
export function multiCropConfig(
  base: MultiCropPreset | MultiCropConfig,
  changes: MultiCropChanges = {},
): MultiCropConfig {
  const from: MultiCropConfig =
    typeof base === 'string'
      ? pickNamed('augment-multicrop.multiCropConfig', 'a preset', base, MULTI_CROP_PRESETS)
      : base;
  const { view = {}, global = {}, local = {} } = changes;
  checkNames('the augmentation', changes, from);
  checkNames('global', global, from.global);
  checkNames('local', local, from.local);
  for (const [at, overrides] of [
    ['view', view],
    ['local.view', local.view ?? {}],
    ...(global.views ?? []).map((overrides, i) => [`global.views[${i}]`, overrides] as const),
  ] as const) {
    checkNames(at, overrides, from.view);
  }
  const config: MultiCropConfig = {
    view: { ...from.view, ...view },
    global: { ...from.global, views: from.global.views.map((overrides) => without(overrides, view)), ...global },
    local: { ...from.local, view: without(from.local.view, view), ...local },
  };
  resolveViews(config);
  return config;
}
