import { join } from 'node:path';
import { describePictureFixtures, readPng } from '@selfsup/test-kit';
import { it } from 'vitest';
import {
  adjustBrightness,
  adjustContrast,
  adjustHue,
  adjustSaturation,
  colorJitter,
  grayscale,
  solarize,
  type JitterOperation,
  type RgbImage,
} from '../../src/index.js';
import { expectSamePicture } from '../helpers.js';

type Case = Record<string, unknown> & {
  op: string;
  factor: number;
  threshold: number;
  order: JitterOperation[];
  input: string;
  output: string;
};

const OPERATIONS: Record<string, (image: RgbImage, c: Case) => RgbImage> = {
  brightness: (image, c) => adjustBrightness(image, c.factor),
  contrast: (image, c) => adjustContrast(image, c.factor),
  saturation: (image, c) => adjustSaturation(image, c.factor),
  hue: (image, c) => adjustHue(image, c.factor),
  grayscale: (image) => grayscale(image),
  solarize: (image, c) => solarize(image, c.threshold),
  jitter: (image, c) =>
    colorJitter(
      image,
      c.order.map((name) => [name, c[name] as number]),
    ),
};

// "exact", or "exact is reachable" for hue and jitter: exact it is.
describePictureFixtures('augment/color', ({ json, directory }) => {
  it.each(json['parameters'].cases as Case[])('$op $output', async (c) => {
    if (!(c.op in OPERATIONS)) throw new Error(`operation ${c.op} is not known to this test`);
    const input = await readPng(join(directory, c.input));
    expectSamePicture(OPERATIONS[c.op](input, c), await readPng(join(directory, c.output)));
  });
});
