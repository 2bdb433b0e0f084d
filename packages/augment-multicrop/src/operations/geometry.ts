import { SslError } from '@selfsup/core';
import { checkInteger } from '../checks.js';
import { checkImage, type RgbImage } from '../image.js';
import { workbench } from '../kernels/workbench.js';
import { roundHalfEven } from '../rounding.js';
import type { Box } from './crop-box.js';
import { edit } from './edit.js';
import type { Interpolation } from './resample-table.js';

function wholeOf({ width, height }: RgbImage): Box {
  return { top: 0, left: 0, width, height };
}

function resize(image: RgbImage, box: Box, width: number, height: number, interpolation: Interpolation): RgbImage {
  const bench = workbench();
  bench.loadResized(image, box, width, height, interpolation);
  return bench.toImage();
}

function checkBox(where: string, { width, height }: RgbImage, box: Box): void {
  const sized = [box.top, box.left, box.width, box.height].every(Number.isInteger) && box.width >= 1 && box.height >= 1;
  const fits = box.top >= 0 && box.left >= 0 && box.top + box.height <= height && box.left + box.width <= width;
  if (sized && fits) return;
  throw new SslError('SHAPE_MISMATCH', {
    where: `augment-multicrop.${where}`,
    expected: `a box of at least one pixel inside ${width} x ${height}`,
    got: `${box.width} x ${box.height} at left ${box.left}, top ${box.top}`,
    fix: 'choose a box inside the picture',
    details: { ...box, imageWidth: width, imageHeight: height },
  });
}

/**
 * Crops a box and resizes it, antialiased, bit for bit as Pillow 12: 22-bit fixed-point weights, across first, then
 * down. Pixels outside the box never contribute. A box of the wanted size comes back unchanged.
 *
 * @param image - RGB picture; not changed.
 * @param box - Inside the picture.
 * @param size - Side of the square result, or its width and height.
 * @param interpolation - `'bicubic'` (default) or `'bilinear'`.
 * @returns a fresh picture
 * @throws SslError `SHAPE_MISMATCH` on a box outside the picture, `BAD_OPTION` on a size below 1
 */
export function resizedCrop(
  image: RgbImage,
  box: Box,
  size: number | { readonly width: number; readonly height: number },
  interpolation: Interpolation = 'bicubic',
): RgbImage {
  checkImage('augment-multicrop.resizedCrop', image);
  checkBox('resizedCrop', image, box);
  const { width, height } = typeof size === 'number' ? { width: size, height: size } : size;
  checkInteger('resizedCrop', 'size', width, 1);
  checkInteger('resizedCrop', 'size', height, 1);
  return resize(image, box, width, height, interpolation);
}

/**
 * Resizes so that the short side has a given length and the long one keeps the aspect ratio, rounded down
 * (torchvision's `Resize(size)` on a Pillow image).
 *
 * @throws SslError `BAD_OPTION` on a size below 1, `SHAPE_MISMATCH` on something that is not a picture
 */
export function resizeShortSide(image: RgbImage, size: number, interpolation: Interpolation = 'bicubic'): RgbImage {
  checkImage('augment-multicrop.resizeShortSide', image);
  checkInteger('resizeShortSide', 'size', size, 1);
  const long = Math.trunc((size * Math.max(image.width, image.height)) / Math.min(image.width, image.height));
  const [width, height] = image.width <= image.height ? [size, long] : [long, size];
  return resize(image, wholeOf(image), width, height, interpolation);
}

/**
 * Cuts the central square; offsets that end in a half are rounded to the even pixel, as torchvision does.
 *
 * @throws SslError `SHAPE_MISMATCH` when the picture is smaller than the square, `BAD_OPTION` on a size below 1
 */
export function centerCrop(image: RgbImage, size: number): RgbImage {
  checkImage('augment-multicrop.centerCrop', image);
  checkInteger('centerCrop', 'size', size, 1);
  const box = {
    top: roundHalfEven((image.height - size) / 2),
    left: roundHalfEven((image.width - size) / 2),
    width: size,
    height: size,
  };
  checkBox('centerCrop', image, box);
  return resize(image, box, size, size, 'bicubic');
}

/** Sizes of {@link evalTransform}. */
export interface EvalTransformOptions {
  /** Length of the short side before the crop. */
  readonly resize: number;
  /** Side of the square that is cut. */
  readonly crop: number;
  readonly interpolation?: Interpolation;
}

/** Evaluation of k-NN and linear probes: short side 256, centre 224. */
export const EVAL_TRANSFORM: EvalTransformOptions = { resize: 256, crop: 224 };

/** Evaluation of the logistic regression: short side 224, centre 224. */
export const LOGISTIC_EVAL_TRANSFORM: EvalTransformOptions = { resize: 224, crop: 224 };

/**
 * Resizes the short side and cuts the centre, without randomness.
 *
 * @throws SslError `SHAPE_MISMATCH` when the crop is larger than the resized picture
 */
export function evalTransform(image: RgbImage, options: EvalTransformOptions = EVAL_TRANSFORM): RgbImage {
  return centerCrop(resizeShortSide(image, options.resize, options.interpolation), options.crop);
}

/** Mirrors left and right. */
export function hflip(image: RgbImage): RgbImage {
  return edit('hflip', image, (bench) => bench.flip());
}
