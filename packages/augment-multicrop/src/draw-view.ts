import { Rng } from '@selfsup/core';
import type { ResolvedView } from './config.js';
import { checkInteger } from './checks.js';
import type { JitterDraw, JitterOperation } from './operations/color.js';
import { randomResizedCropBox, type Box } from './operations/crop-box.js';

/** What a sample's draws depend on; nothing else does, neither workers nor the order of calls. */
export interface SampleKey {
  /** Any safe integer. */
  readonly seed: number;
  /** 0 or more, below 2^32. */
  readonly epoch: number;
  /** Index of the sample in its data set, 0 or more, below 2^32. */
  readonly sample: number;
}

/** @throws SslError `BAD_OPTION` */
export function checkSampleKey(where: string, { seed, epoch, sample }: SampleKey): void {
  checkInteger(where, 'seed', seed, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  checkInteger(where, 'epoch', epoch, 0, 0xffffffff);
  checkInteger(where, 'sample', sample, 0, 0xffffffff);
}

/** Everything random about one view. */
export interface ViewDraw {
  readonly box: Box;
  readonly flip: boolean;
  /** Empty when there is no jitter. */
  readonly jitter: JitterDraw;
  readonly grayscale: boolean;
  /** Undefined when there is no blur. */
  readonly blurSigma: number | undefined;
  readonly solarize: boolean;
}

function drawJitter(rng: Rng, view: ResolvedView): JitterDraw {
  if (!rng.chance(view.jitterProbability)) return [];
  const factor = (strength: number): number => rng.uniform(Math.max(0, 1 - strength), 1 + strength);
  // All four are always drawn, so that one strength does not change what the others get.
  const all: [JitterOperation, number][] = [
    ['brightness', factor(view.brightness)],
    ['contrast', factor(view.contrast)],
    ['saturation', factor(view.saturation)],
    ['hue', rng.uniform(-view.hue, view.hue)],
  ];
  return Array.from(rng.permutation(all.length), (i) => all[i]).filter(([operation]) => view[operation] > 0);
}

/**
 * Draws one view. Each operation has a stream of its own per view, so changing one option leaves all other draws alone,
 * and adding a view does not shift the others.
 */
export function drawView(
  view: ResolvedView,
  kind: 'global' | 'local',
  index: number,
  { seed, epoch, sample }: SampleKey,
  width: number,
  height: number,
): ViewDraw {
  const stream = (operation: string): Rng => Rng.of(seed, `augment.${kind}.${operation}`, epoch, sample, index);
  const blur = stream('blur');
  return {
    box: randomResizedCropBox(stream('crop'), width, height, view.scale, view.ratio),
    flip: stream('flip').chance(view.flipProbability),
    jitter: drawJitter(stream('jitter'), view),
    grayscale: stream('grayscale').chance(view.grayscaleProbability),
    blurSigma: blur.chance(view.blurProbability) ? blur.uniform(view.blurSigma[0], view.blurSigma[1]) : undefined,
    solarize: stream('solarize').chance(view.solarizeProbability),
  };
}
