import { pickNamed } from '@selfsup/core';
import { checkNumber, refuse } from '../checks.js';
import type { RgbImage } from '../image.js';
import type { Workbench } from '../kernels/workbench.js';
import { BOX_PASSES, boxForGaussian } from './box-blur.js';
import { edit } from './edit.js';

/**
 * `'pillow'`: three box passes each way, borders repeated (DINO, SimDINO). `'torchvision'`: a true Gaussian of
 * 9 taps (`taps` of {@link gaussianBlur}), borders mirrored, rounded to bytes (DINOv2, SimDINOv2).
 */
export type BlurKernel = 'pillow' | 'torchvision';

/** Taps of DINOv2's blur. */
export const DEFAULT_BLUR_TAPS = 9;

/** The kernels sum bytes in 16 bits, which ends near this. */
export const MAX_BLUR_SIGMA = 100;

/** Weights exp(-x^2 / 2 sigma^2) from the middle outwards, normalised over both sides; negligible ones are left out. */
function gaussianWeights(sigma: number, taps: number): Float32Array {
  const exact = Array.from({ length: (taps + 1) >> 1 }, (_, x) => Math.exp(-0.5 * (x / sigma) ** 2));
  const sum = exact.reduce((total, w, x) => total + (x === 0 ? w : 2 * w), 0);
  return Float32Array.from(exact.map((w) => w / sum).filter((w) => w > 1e-10));
}

/** @internal */
export const BLURS: Readonly<Record<BlurKernel, (bench: Workbench, sigma: number, taps: number) => void>> = {
  pillow(bench, sigma) {
    const box = boxForGaussian(sigma);
    if (box !== undefined) bench.boxBlur(box, BOX_PASSES);
  },
  torchvision(bench, sigma, taps) {
    if (sigma > 0) bench.symmetricFilter(gaussianWeights(sigma, taps));
  },
};

/**
 * Gaussian blur of an 8-bit picture. The Pillow kind is exact; the torchvision kind may differ by 1 where its float32
 * sum ends within rounding of a half.
 *
 * @param sigma - Standard deviation in pixels, 0..100; 0 leaves the picture as it is.
 * @param kernel - Which program's blur.
 * @param taps - Only `'torchvision'`: odd length of the kernel.
 * @throws SslError `BAD_OPTION` on numbers out of range, `UNKNOWN_NAME` on another kernel
 */
export function gaussianBlur(
  image: RgbImage,
  sigma: number,
  kernel: BlurKernel,
  taps: number = DEFAULT_BLUR_TAPS,
): RgbImage {
  checkNumber('gaussianBlur', 'sigma', sigma, 0, MAX_BLUR_SIGMA);
  if (!Number.isInteger(taps) || taps < 1 || taps % 2 === 0) {
    refuse('gaussianBlur', 'taps', 'an odd integer of at least 1', taps);
  }
  const blur = pickNamed('augment-multicrop.gaussianBlur', 'a blur kernel', kernel, BLURS);
  return edit('gaussianBlur', image, (bench) => blur(bench, sigma, taps));
}
