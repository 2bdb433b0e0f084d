import { join } from 'node:path';
import { describePictureFixtures, readPng } from '@selfsup/test-kit';
import { describe, expect, it } from 'vitest';
import {
  adjustBrightness,
  adjustContrast,
  adjustHue,
  adjustSaturation,
  gaussianBlur,
  grayscale,
  hflip,
  normalize,
  resizedCrop,
  solarize,
  type RgbImage,
} from '../../src/index.js';
import { byteDifferences } from '../helpers.js';

/* eslint-disable-next-line @typescript-eslint/no-explicit-any -- arguments as the original program recorded them */
type Arguments = any[];

interface Crop {
  output: string;
  size: [number, number];
  operations: { op: string; args: Arguments }[];
  normalized_mean: number;
  normalized_std: number;
}

const OPERATIONS: Record<string, (image: RgbImage, args: Arguments) => RgbImage> = {
  resized_crop: (image, [top, left, height, width, [outHeight, outWidth], mode]) =>
    resizedCrop(
      image,
      { top, left, height, width },
      { width: outWidth, height: outHeight },
      mode.split('.')[1].toLowerCase(),
    ),
  hflip: (image) => hflip(image),
  adjust_brightness: (image, [factor]) => adjustBrightness(image, factor),
  adjust_contrast: (image, [factor]) => adjustContrast(image, factor),
  adjust_saturation: (image, [factor]) => adjustSaturation(image, factor),
  adjust_hue: (image, [factor]) => adjustHue(image, factor),
  rgb_to_grayscale: (image) => grayscale(image),
  pil_gaussian_blur: (image, [sigma]) => gaussianBlur(image, sigma, 'pillow'),
  gaussian_blur: (image, [[taps], [sigma]]) => gaussianBlur(image, sigma, 'torchvision', taps),
  solarize: (image, [threshold]) => solarize(image, threshold),
};

describePictureFixtures('augment/pipeline', ({ json, directory }) => {
  describe.each(Object.entries(json['parameters'].crops as Record<string, Crop[]>))('%s', (_family, crops) => {
    it.each(crops)('$output', async ({ output, size, operations, normalized_mean, normalized_std }) => {
      let image: RgbImage = await readPng(join(directory, 'input.png'));
      for (const { op, args } of operations) {
        if (!(op in OPERATIONS)) throw new Error(`operation ${op} is not known to this test`);
        image = OPERATIONS[op](image, args);
      }
      expect([image.height, image.width]).toEqual(size);
      const { largest, within } = byteDifferences(image.data, (await readPng(join(directory, output))).data);
      // Everything but torchvision's blur is exact; its rounding ties may be followed by solarizing.
      const exact = operations.every(({ op }) => op !== 'gaussian_blur');
      expect(largest).toBeLessThanOrEqual(exact ? 0 : 2);
      expect(within[1]).toBeGreaterThanOrEqual(exact ? 1 : 0.98);

      const values = normalize(image);
      const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
      const std = Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length);
      expect([mean, std]).toBeAllclose([normalized_mean, normalized_std], { rtol: 0, atol: 2e-3 });
    });
  });
});
