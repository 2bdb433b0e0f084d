import { join } from 'node:path';
import { describePictureFixtures, readPng } from '@selfsup/test-kit';
import { expect, it } from 'vitest';
import { gaussianBlur } from '../../src/index.js';
import { byteDifferences, expectSamePicture } from '../helpers.js';

interface Case {
  op: string;
  radius: number;
  sigma: number;
  kernel: number;
  input: string;
  output: string;
}

describePictureFixtures('augment/blur', ({ json, directory }) => {
  it.each(json['parameters'].cases as Case[])('$op $output', async (c) => {
    const input = await readPng(join(directory, c.input));
    const expected = await readPng(join(directory, c.output));
    switch (c.op) {
      case 'pil_gaussian_blur':
        // Accepted: 1 on 1 % of bytes. Reached: all of them.
        return expectSamePicture(gaussianBlur(input, c.radius, 'pillow'), expected);
      case 'torchvision_gaussian_blur': {
        const { largest, within } = byteDifferences(
          gaussianBlur(input, c.sigma, 'torchvision', c.kernel).data,
          expected.data,
        );
        expect(largest).toBeLessThanOrEqual(1);
        expect(within[0]).toBeGreaterThanOrEqual(0.999);
        return;
      }
      default:
        throw new Error(`operation ${c.op} is not known to this test`);
    }
  });
});
