import type { Rng } from '@selfsup/core';
import { checkInteger, checkInterval } from '../checks.js';
import { roundHalfEven } from '../rounding.js';

/** A rectangle of a picture, in pixels. */
export interface Box {
  readonly top: number;
  readonly left: number;
  readonly width: number;
  readonly height: number;
}

const TRIES = 10;

/**
 * Draws the rectangle of a random resized crop, as torchvision's `RandomResizedCrop.get_params` does: area and aspect
 * ratio are drawn together up to ten times until the box fits; then the largest central box of an allowed ratio.
 * Boxes that do not fit are drawn again, so large areas are rarer than uniform.
 *
 * @param rng - Source of the draws.
 * @param width - Of the picture, pixels.
 * @param height - Of the picture, pixels.
 * @param scale - Share of the picture's area, [low, high] with 0 < low.
 * @param ratio - Width over height, [low, high] with 0 < low, log-uniform.
 * @returns a box of at least one pixel inside the picture
 * @throws SslError `BAD_OPTION` on sizes below 1 or empty intervals
 */
export function randomResizedCropBox(
  rng: Rng,
  width: number,
  height: number,
  scale: readonly [number, number],
  ratio: readonly [number, number],
): Box {
  const where = 'randomResizedCropBox';
  checkInteger(where, 'width', width, 1);
  checkInteger(where, 'height', height, 1);
  checkInterval(where, 'scale', scale, { above: 0 });
  checkInterval(where, 'ratio', ratio, { above: 0 });
  const area = width * height;
  const [logLow, logHigh] = [Math.log(ratio[0]), Math.log(ratio[1])];
  for (let i = 0; i < TRIES; i++) {
    const wanted = area * rng.uniform(scale[0], scale[1]);
    const aspect = Math.exp(rng.uniform(logLow, logHigh));
    const w = roundHalfEven(Math.sqrt(wanted * aspect));
    const h = roundHalfEven(Math.sqrt(wanted / aspect));
    if (w > 0 && w <= width && h > 0 && h <= height) {
      return { top: rng.integer(height - h + 1), left: rng.integer(width - w + 1), width: w, height: h };
    }
  }
  const own = width / height;
  let [w, h] = [width, height];
  // The long way round can come out as nothing for a picture of one pixel's width.
  if (own < ratio[0]) h = Math.max(1, roundHalfEven(w / ratio[0]));
  else if (own > ratio[1]) w = Math.max(1, roundHalfEven(h * ratio[1]));
  return { top: (height - h) >> 1, left: (width - w) >> 1, width: w, height: h };
}
