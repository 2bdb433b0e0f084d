import { Rng } from '@selfsup/core';
import { propertyOptions } from '@selfsup/test-kit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  adjustContrast,
  adjustSaturation,
  drawBlockMasks,
  drawBlockMask,
  gaussianBlur,
  hflip,
  maskedTokenBound,
  multiCrop,
  multiCropConfig,
  randomResizedCropBox,
  resizedCrop,
  solarize,
} from '../../src/index.js';
import { testImage } from '../helpers.js';

const image = fc
  .record({ width: fc.integer({ min: 1, max: 40 }), height: fc.integer({ min: 1, max: 40 }), seed: fc.nat(1000) })
  .map(({ width, height, seed }) => testImage(width, height, seed));
const key = fc.record({
  seed: fc.maxSafeInteger(),
  epoch: fc.integer({ min: 0, max: 0xffffffff }),
  sample: fc.integer({ min: 0, max: 0xffffffff }),
});
const preset = fc.constantFrom('dino', 'dinov2', 'simdino', 'simdinov2');
const small = { global: { size: 12 }, local: { size: 7, count: 2 } } as const;

describe('multiCrop', () => {
  it('gives the same bytes for the same key, others for another', () => {
    fc.assert(
      fc.property(preset, key, fc.constantFrom('seed', 'epoch', 'sample'), (name, k, part) => {
        const config = multiCropConfig(name, small);
        const picture = testImage(37, 29);
        const crops = multiCrop(picture, config, k);
        expect(multiCrop(picture, config, k)).toEqual(crops);
        const other = { ...k, [part]: k[part] === 0 ? 1 : k[part] - 1 };
        expect(multiCrop(picture, config, other)).not.toEqual(crops);
        expect(crops.global[0]).not.toEqual(crops.global[1]);
        expect(crops.local[0]).not.toEqual(crops.local[1]);
      }),
      propertyOptions(),
    );
  });

  it('has the sizes of the configuration for any picture, also smaller than the views', () => {
    fc.assert(
      fc.property(preset, image, key, fc.integer({ min: 1, max: 20 }), fc.nat(3), (name, picture, k, size, count) => {
        const config = multiCropConfig(name, { global: { size }, local: { size: size + 1, count } });
        const { global, local } = multiCrop(picture, config, k);
        expect(global.map((view) => view.length)).toEqual([size * size * 3, size * size * 3]);
        expect(local.map((view) => view.length)).toEqual(Array(count).fill((size + 1) ** 2 * 3));
      }),
      propertyOptions(),
    );
  });
});

describe('randomResizedCropBox', () => {
  it('lies inside the picture, whatever its shape', () => {
    const side = fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 4000 }));
    const interval = fc
      .tuple(fc.double({ min: 0.01, max: 3, noNaN: true }), fc.double({ min: 0.01, max: 3, noNaN: true }))
      .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
    fc.assert(
      fc.property(side, side, interval, interval, fc.nat(), (width, height, scale, ratio, seed) => {
        const box = randomResizedCropBox(Rng.of(seed, 'box'), width, height, scale, ratio);
        expect(Math.min(box.width, box.height)).toBeGreaterThanOrEqual(1);
        expect(Math.min(box.top, box.left)).toBeGreaterThanOrEqual(0);
        expect(box.left + box.width).toBeLessThanOrEqual(width);
        expect(box.top + box.height).toBeLessThanOrEqual(height);
      }),
      propertyOptions(500),
    );
    for (const [width, height] of [
      [1, 1],
      [2000, 2],
      [2, 2000],
      [1, 128],
    ]) {
      const box = randomResizedCropBox(Rng.of(1, 'box'), width, height, [0.4, 1], [3 / 4, 4 / 3]);
      expect(box.left + box.width).toBeLessThanOrEqual(width);
      expect(box.top + box.height).toBeLessThanOrEqual(height);
    }
  });
});

describe('operations', () => {
  it('flipping twice is nothing, and resizing commutes with flipping', () => {
    fc.assert(
      fc.property(image, fc.integer({ min: 1, max: 30 }), (picture, size) => {
        expect(hflip(hflip(picture))).toEqual(picture);
        const whole = { top: 0, left: 0, width: picture.width, height: picture.height };
        // Weights are rounded where they stand, so mirrored ones may differ in the last of 22 bits.
        const a = resizedCrop(hflip(picture), whole, size).data;
        const b = hflip(resizedCrop(picture, whole, size)).data;
        a.forEach((value, i) => expect(Math.abs(value - b[i])).toBeLessThanOrEqual(1));
      }),
      propertyOptions(),
    );
  });

  it('a crop does not depend on pixels outside its box', () => {
    fc.assert(
      fc.property(image, fc.nat(), (picture, seed) => {
        const box = randomResizedCropBox(Rng.of(seed, 'b'), picture.width, picture.height, [0.1, 0.9], [0.5, 2]);
        const changed = { ...picture, data: Uint8Array.from(picture.data, (value) => 255 - value) };
        for (let y = box.top; y < box.top + box.height; y++) {
          const start = (y * picture.width + box.left) * 3;
          changed.data.set(picture.data.subarray(start, start + box.width * 3), start);
        }
        expect(resizedCrop(changed, box, 9)).toEqual(resizedCrop(picture, box, 9));
      }),
      propertyOptions(),
    );
  });

  it('solarizing at 0 twice is nothing; saturation 0 is grey; contrast 0 is flat', () => {
    fc.assert(
      fc.property(image, (picture) => {
        expect(solarize(solarize(picture, 0), 0)).toEqual(picture);
        const gray = adjustSaturation(picture, 0).data;
        for (let i = 0; i < gray.length; i += 3) expect([gray[i + 1], gray[i + 2]]).toEqual([gray[i], gray[i]]);
        expect(new Set(adjustContrast(picture, 0).data).size).toBe(1);
      }),
      propertyOptions(),
    );
  });

  it('blurring stays between the extremes of the picture', () => {
    const sigma = fc.double({ min: 0.05, max: 8, noNaN: true });
    fc.assert(
      fc.property(image, sigma, fc.constantFrom('pillow', 'torchvision'), (picture, s, kernel) => {
        const [low, high] = [Math.min(...picture.data), Math.max(...picture.data)];
        const blurred = gaussianBlur(picture, s, kernel).data;
        expect(Math.min(...blurred)).toBeGreaterThanOrEqual(low);
        expect(Math.max(...blurred)).toBeLessThanOrEqual(high);
      }),
      propertyOptions(),
    );
  });
});

describe('block masks', () => {
  const grid = fc.tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 20 }));

  it('never exceed their target, on any grid', () => {
    fc.assert(
      fc.property(grid, fc.nat(), fc.double({ min: 0, max: 1, noNaN: true }), (size, seed, share) => {
        const target = Math.floor(size[0] * size[1] * share);
        const maxPatches = Math.floor(size[0] / 2) * size[1];
        const { mask, count, blocks } = drawBlockMask(Rng.of(seed, 'm'), target, {
          grid: size,
          minPatches: 4,
          maxPatches,
          minAspect: 0.3,
        });
        expect(count).toBe(mask.reduce((sum, m) => sum + m, 0));
        expect(count).toBe(blocks.reduce((sum, block) => sum + block.added, 0));
        expect(count).toBeLessThanOrEqual(target);
      }),
      propertyOptions(200),
    );
  });

  it('stay within the bound in every group', () => {
    fc.assert(
      fc.property(
        grid,
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 3 }),
        fc.nat(),
        (size, each, groups, seed) => {
          const options = { grid: size, images: each * groups, groups };
          const { masks } = drawBlockMasks(options, { seed, step: 0 });
          expect(masks.reduce((sum, m) => sum + m, 0)).toBeLessThanOrEqual(groups * maskedTokenBound(options));
        },
      ),
      propertyOptions(),
    );
  });
});
