import { join } from 'node:path';
import { describePictureFixtures, readPng } from '@selfsup/test-kit';
import { expect, it } from 'vitest';
import {
  centerCrop,
  evalTransform,
  hflip,
  resizedCrop,
  resizeShortSide,
  type Box,
  type Interpolation,
} from '../../src/index.js';
import { expectSamePicture } from '../helpers.js';

interface Case extends Box {
  op: string;
  input: string;
  output: string;
  size: number;
  interpolation: Interpolation;
  resize_short: number;
  resized_width: number;
  resized_height: number;
  crop: number;
  crop_top: number;
  crop_left: number;
}

// The fixture accepts differences of 1; integer arithmetic reaches all of Pillow 12's bytes, so nothing less is right.
describePictureFixtures('augment/geometry', ({ json, directory }) => {
  const picture = (name: string) => readPng(join(directory, name));

  it.each(json['parameters'].cases as Case[])('$op $output', async (c) => {
    const input = await picture(c.input);
    const expected = await picture(c.output);
    switch (c.op) {
      case 'resized_crop':
        return expectSamePicture(resizedCrop(input, c, c.size, c.interpolation), expected);
      case 'hflip':
        return expectSamePicture(hflip(input), expected);
      case 'eval_transform': {
        const resized = resizeShortSide(input, c.resize_short);
        expect([resized.width, resized.height]).toEqual([c.resized_width, c.resized_height]);
        expectSamePicture(centerCrop(resized, c.crop), expected);
        const box = { top: c.crop_top, left: c.crop_left, width: c.crop, height: c.crop };
        expectSamePicture(resizedCrop(resized, box, c.crop), expected);
        return expectSamePicture(evalTransform(input, { resize: c.resize_short, crop: c.crop }), expected);
      }
      default:
        throw new Error(`operation ${c.op} is not known to this test`);
    }
  });
});
