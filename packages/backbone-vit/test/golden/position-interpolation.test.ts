import { interpolatePositions, type PositionInterpolation } from '@selfsup/backbone-vit';
import { fixtureCases } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { gradientsOf, hostOf, read, toTensor } from '../support.js';

beforeAll(() => tf.setBackend('cpu'));

/** What the fixture says a flavour is: `dino`, or the settings of DINOv2's function in words. */
function interpolationOf(words: string): PositionInterpolation {
  if (words === 'dino') return { offset: 0.1, antialias: false };
  const found = /^antialias=(True|False) offset=([\d.]+)$/.exec(words);
  if (found === null) throw new Error(`flavour "${words}" is not known`);
  return { offset: Number(found[2]), antialias: found[1] === 'True' };
}

describe.each(fixtureCases('ssl/pos-embed-interp'))('$name', (fixture) => {
  const { cases_M_h0_w0_D: sizes, patch: patchSize, flavours } = fixture.json.hyper;

  describe.each(sizes as [number, number, number, number][])('from %i to %i x %i', (grid, rows, columns) => {
    const name = `M${grid}_to_${rows}x${columns}`;
    const near = { maxRel: fixture.tolerance(name) };

    it.each(Object.entries(flavours as Record<string, string>))('%s', (flavour, words) => {
      tf.tidy(() => {
        const positions = toTensor(hostOf(fixture.tensor(`${name}/pos_embed`))) as tf.Tensor3D;
        const weights = toTensor(hostOf(fixture.tensor(`${name}/W`)));
        const size = { height: rows * patchSize, width: columns * patchSize, patchSize };
        const resized = (): tf.Tensor3D => interpolatePositions(positions, size, interpolationOf(words));
        expect(read(resized())).toBeAllclose(hostOf(fixture.tensor(`${name}/${flavour}/out`)), near);
        const { gradients } = gradientsOf({ positions }, () => tf.sum(tf.mul(resized(), weights)));
        expect(read(gradients.positions)).toBeAllclose(hostOf(fixture.tensor(`${name}/${flavour}/grad`)), near);
      });
    });
  });
});
