import { pickNamed } from '@selfsup/core';
import { checkInteger, checkInterval, checkNumber } from './checks.js';
import { BLURS, MAX_BLUR_SIGMA, type BlurKernel } from './operations/gaussian-blur.js';
import { FILTERS, type Interpolation } from './operations/resample-table.js';

/** What happens to a view besides its size and scale. Every operation is off at probability 0. */
export interface ViewOptions {
  /** Width over height of the crop, [low, high] with 0 < low <= high, log-uniform. */
  readonly ratio: readonly [number, number];
  readonly interpolation: Interpolation;
  /** Mirror left and right. */
  readonly flipProbability: number;
  /** Colour jitter: the four below, in a drawn order. */
  readonly jitterProbability: number;
  /** Factor between 1 - this (at least 0) and 1 + this; 0 leaves the operation out. */
  readonly brightness: number;
  /** Like `brightness`. */
  readonly contrast: number;
  /** Like `brightness`. */
  readonly saturation: number;
  /** Turns between -this and this, at most 0.5; 0 leaves the operation out. */
  readonly hue: number;
  readonly grayscaleProbability: number;
  readonly blurProbability: number;
  readonly blurKernel: BlurKernel;
  /** Standard deviation in pixels, uniform, 0..100. */
  readonly blurSigma: readonly [number, number];
  readonly solarizeProbability: number;
  /** Bytes at or above it are inverted; 0..256. */
  readonly solarizeThreshold: number;
}

/** Options of one view that differ from those all views share. */
export type ViewOverrides = Partial<ViewOptions>;

/** Size and place of a kind of views. */
export interface ViewGeometry {
  /** Side of the square views, pixels. */
  readonly size: number;
  /** Share of the picture's area, [low, high] with 0 < low <= high. */
  readonly scale: readonly [number, number];
}

/** Multi-crop augmentation as data: what all views share, and what sets them apart. */
export interface MultiCropConfig {
  /** Shared by every view unless it overrides them by name. */
  readonly view: ViewOptions;
  /** `views`: the overrides of each; as many global views as entries, at least 1. */
  readonly global: ViewGeometry & { readonly views: readonly ViewOverrides[] };
  /** `count`: number of local views, 0 for none; `view`: overrides they all share. */
  readonly local: ViewGeometry & { readonly count: number; readonly view: ViewOverrides };
}

/** One view, all options settled. */
export type ResolvedView = ViewOptions & ViewGeometry;

/** All views of a configuration in their order. */
export interface ResolvedViews {
  readonly global: readonly ResolvedView[];
  readonly local: readonly ResolvedView[];
}

function checkView(at: string, view: ResolvedView): void {
  const where = 'multiCrop';
  checkInteger(where, `${at}.size`, view.size, 1);
  checkInterval(where, `${at}.scale`, view.scale, { above: 0 });
  checkInterval(where, `${at}.ratio`, view.ratio, { above: 0 });
  checkInterval(where, `${at}.blurSigma`, view.blurSigma, { least: 0, most: MAX_BLUR_SIGMA });
  const upTo = {
    flipProbability: 1,
    jitterProbability: 1,
    grayscaleProbability: 1,
    blurProbability: 1,
    solarizeProbability: 1,
    brightness: Infinity,
    contrast: Infinity,
    saturation: Infinity,
    hue: 0.5,
    solarizeThreshold: 256,
  } as const;
  for (const [option, most] of Object.entries(upTo) as [keyof typeof upTo, number][]) {
    checkNumber(where, `${at}.${option}`, view[option], 0, most);
  }
  pickNamed('augment-multicrop.multiCrop', 'an interpolation', view.interpolation, FILTERS, 'BAD_OPTION');
  pickNamed('augment-multicrop.multiCrop', 'a blur kernel', view.blurKernel, BLURS, 'BAD_OPTION');
}

/**
 * The views of a configuration with every option settled and checked.
 *
 * @throws SslError `BAD_OPTION` naming the option: a size below 1, an empty interval, a negative count, a probability
 * outside 0..1, an unknown option, interpolation or blur
 */
export function resolveViews({ view, global, local }: MultiCropConfig): ResolvedViews {
  checkInteger('multiCrop', 'global.views.length', global.views.length, 1);
  checkInteger('multiCrop', 'local.count', local.count, 0);
  const known = (overrides: ViewOverrides): void => {
    for (const option of Object.keys(overrides))
      pickNamed('augment-multicrop.multiCrop', 'an option of views', option, { ...view }, 'BAD_OPTION');
  };
  known(local.view);
  const globals = global.views.map((overrides, i) => {
    known(overrides);
    const resolved = { ...view, ...overrides, size: global.size, scale: global.scale };
    checkView(`global.views[${i}]`, resolved);
    return resolved;
  });
  const resolvedLocal = { ...view, ...local.view, size: local.size, scale: local.scale };
  if (local.count > 0) checkView('local', resolvedLocal);
  return { global: globals, local: Array.from({ length: local.count }, () => resolvedLocal) };
}
