import { Rng } from '@selfsup/core';
import { describe, expect, it } from 'vitest';
import {
  adjustBrightness,
  adjustHue,
  centerCrop,
  colorJitter,
  gaussianBlur,
  hflip,
  normalize,
  randomResizedCropBox,
  resizedCrop,
  resizeShortSide,
  solarize,
} from '../../src/index.js';
import { expectSamePicture, testImage } from '../helpers.js';

const image = testImage(31, 23);

describe('operations', () => {
  it('leave the input alone', () => {
    const before = new Uint8Array(image.data);
    adjustBrightness(image, 1.5);
    adjustHue(image, 0.2);
    gaussianBlur(image, 1, 'pillow');
    gaussianBlur(image, 1, 'torchvision');
    resizedCrop(image, { top: 2, left: 3, width: 9, height: 11 }, 7);
    hflip(image);
    expect(image.data).toEqual(before);
  });

  it('resize pictures a hundred times as tall as wide down first, as Pillow does', () => {
    const tall = testImage(2, 212);
    const whole = { top: 0, left: 0, width: 2, height: 212 };
    const downFirst = resizedCrop(tall, whole, { width: 2, height: 55 });
    const expected = resizedCrop(downFirst, { ...whole, height: 55 }, { width: 67, height: 55 });
    expectSamePicture(resizedCrop(tall, whole, { width: 67, height: 55 }), expected);
  });

  it('resize a picture wider than a strip of memory', () => {
    const wide = testImage(40000, 3);
    const parts = resizedCrop(wide, { top: 0, left: 0, width: 40000, height: 3 }, { width: 100, height: 3 });
    for (let row = 0; row < 3; row++) {
      const one = resizedCrop(wide, { top: row, left: 0, width: 40000, height: 1 }, { width: 100, height: 1 });
      expect(parts.data.subarray(row * 300, row * 300 + 300)).toEqual(one.data);
    }
  });

  it('do nothing at factor 1, sigma 0, threshold 256', () => {
    expectSamePicture(
      colorJitter(image, [
        ['brightness', 1],
        ['contrast', 1],
        ['saturation', 1],
      ]),
      image,
    );
    expectSamePicture(gaussianBlur(image, 0, 'pillow'), image);
    expectSamePicture(gaussianBlur(image, 0, 'torchvision'), image);
    expectSamePicture(solarize(image, 256), image);
  });

  it('lose a little in a hue shift of nothing', () => {
    expect(adjustHue(image, 0).data).not.toEqual(image.data);
  });

  it('keep flat pictures flat', () => {
    const flat = { data: new Uint8Array(3 * 5 * 7).fill(90), width: 5, height: 7 };
    expectSamePicture(gaussianBlur(flat, 30, 'pillow'), flat);
    expectSamePicture(gaussianBlur(flat, 3, 'torchvision', 31), flat);
    expect(new Set(resizeShortSide(flat, 13).data)).toEqual(new Set([90]));
  });

  it.each([
    [() => resizedCrop(image, { top: 0, left: 30, width: 2, height: 2 }, 8), 'SHAPE_MISMATCH', 'inside 31 x 23'],
    [() => resizedCrop(image, { top: 0, left: 0, width: 2, height: 2 }, 0), 'BAD_OPTION', 'at least 1'],
    [() => centerCrop(image, 24), 'SHAPE_MISMATCH', 'inside the picture'],
    [() => adjustBrightness(image, -1), 'BAD_OPTION', 'factor to a number of at least 0'],
    [() => adjustHue(image, 0.6), 'BAD_OPTION', '-0.5..0.5'],
    [() => solarize(image, 300), 'BAD_OPTION', '0..256'],
    [() => gaussianBlur(image, 200, 'pillow'), 'BAD_OPTION', '0..100'],
    [() => gaussianBlur(image, 1, 'torchvision', 8), 'BAD_OPTION', 'taps to an odd integer'],
    [() => gaussianBlur(image, 1, 'pilow' as never), 'UNKNOWN_NAME', 'did you mean "pillow"'],
    [() => colorJitter(image, [['hues' as never, 0.1]]), 'UNKNOWN_NAME', 'did you mean "hue"'],
    [() => normalize(image, { mean: [0, 0, 0], std: [1, 0, 1] }), 'BAD_OPTION', 'std[1]'],
    [() => hflip({ ...image, height: 22 }), 'SHAPE_MISMATCH', 'decode to 8-bit RGB'],
    [() => randomResizedCropBox(Rng.of(0, 'x'), 0, 5, [0.1, 1], [1, 1]), 'BAD_OPTION', 'width'],
    [() => randomResizedCropBox(Rng.of(0, 'x'), 5, 5, [1, 0.5], [1, 1]), 'BAD_OPTION', 'scale'],
  ] as const)('refuse nonsense (%#)', (run, code, part) => {
    expect(run).toThrow(expect.objectContaining({ code, message: expect.stringContaining(part) }));
  });
});
