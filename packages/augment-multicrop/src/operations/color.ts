import { pickNamed } from '@selfsup/core';
import { checkNumber } from '../checks.js';
import type { RgbImage } from '../image.js';
import type { Workbench } from '../kernels/workbench.js';
import { edit } from './edit.js';

/**
 * Blends with black: 0 gives black, 1 the picture, more a brighter one. float32, truncated (Pillow's `Image.blend`).
 *
 * @throws SslError `BAD_OPTION` on a negative factor
 */
export function adjustBrightness(image: RgbImage, factor: number): RgbImage {
  checkNumber('adjustBrightness', 'factor', factor, 0);
  return edit('adjustBrightness', image, (bench) => bench.brightness(factor));
}

/**
 * Blends with the mean luma of the picture: 0 gives flat grey, 1 the picture.
 *
 * @throws SslError `BAD_OPTION` on a negative factor
 */
export function adjustContrast(image: RgbImage, factor: number): RgbImage {
  checkNumber('adjustContrast', 'factor', factor, 0);
  return edit('adjustContrast', image, (bench) => bench.contrast(factor));
}

/**
 * Blends every pixel with its luma: 0 gives the grey picture, 1 the picture.
 *
 * @throws SslError `BAD_OPTION` on a negative factor
 */
export function adjustSaturation(image: RgbImage, factor: number): RgbImage {
  checkNumber('adjustSaturation', 'factor', factor, 0);
  return edit('adjustSaturation', image, (bench) => bench.saturation(factor));
}

/** A turn of hue as Pillow's byte: truncated towards zero, modulo 256. */
function hueShift(factor: number): number {
  return Math.trunc(factor * 255) & 255;
}

/**
 * Turns the hue by way of 8-bit HSV, which loses a little even when the factor is too small to shift anything.
 *
 * @param factor - Turns, -0.5 to 0.5.
 * @throws SslError `BAD_OPTION` outside that
 */
export function adjustHue(image: RgbImage, factor: number): RgbImage {
  checkNumber('adjustHue', 'factor', factor, -0.5, 0.5);
  return edit('adjustHue', image, (bench) => bench.hue(hueShift(factor)));
}

/** Luma, (19595 R + 38470 G + 7471 B + 32768) >> 16, in all three channels. */
export function grayscale(image: RgbImage): RgbImage {
  return edit('grayscale', image, (bench) => bench.grayscale());
}

/**
 * Inverts bytes at or above the threshold: x -> 255 - x.
 *
 * @param threshold - 0 inverts everything, 256 nothing.
 * @throws SslError `BAD_OPTION` outside 0..256
 */
export function solarize(image: RgbImage, threshold: number): RgbImage {
  checkNumber('solarize', 'threshold', threshold, 0, 256);
  return edit('solarize', image, (bench) => applySolarize(bench, threshold));
}

/** @internal */
export function applySolarize(bench: Workbench, threshold: number): void {
  if (threshold <= 255) bench.solarize(Math.ceil(threshold));
}

/** The four operations of colour jitter. */
export type JitterOperation = 'brightness' | 'contrast' | 'saturation' | 'hue';

const JITTER: Readonly<Record<JitterOperation, (bench: Workbench, factor: number) => void>> = {
  brightness: (bench, factor) => bench.brightness(factor),
  contrast: (bench, factor) => bench.contrast(factor),
  saturation: (bench, factor) => bench.saturation(factor),
  hue: (bench, factor) => bench.hue(hueShift(factor)),
};

/** Drawn colour jitter: operations in the order they run, with their factors. */
export type JitterDraw = readonly (readonly [operation: JitterOperation, factor: number])[];

/** @internal */
export function applyJitter(bench: Workbench, draw: JitterDraw): void {
  for (const [operation, factor] of draw) JITTER[operation](bench, factor);
}

/**
 * Colour jitter with its draws given: `[['hue', 0.05], ['contrast', 1.2], ...]` in the order to run.
 *
 * @throws SslError `UNKNOWN_NAME` on another operation
 */
export function colorJitter(image: RgbImage, draw: JitterDraw): RgbImage {
  for (const [operation, factor] of draw) {
    pickNamed('augment-multicrop.colorJitter', 'a jitter operation', operation, JITTER);
    if (operation === 'hue') checkNumber('colorJitter', 'hue', factor, -0.5, 0.5);
    else checkNumber('colorJitter', operation, factor, 0);
  }
  return edit('colorJitter', image, (bench) => applyJitter(bench, draw));
}
