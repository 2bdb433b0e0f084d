import { interpolatePositions, type PositionInterpolation } from '@selfsup/backbone-vit';
import type { FixtureCase } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { below, type GoldenFunction, gradientsOf } from '@selfsup/test-kit/golden-case';

/** What the fixture says a flavour is: `dino`, or the settings of DINOv2's function in words. */
function interpolationOf(words: string): PositionInterpolation {
  if (words === 'dino') return { offset: 0.1, antialias: false };
  const found = /^antialias=(True|False) offset=([\d.]+)$/.exec(words);
  if (found === null) throw new Error(`flavour "${words}" is not known`);
  return { offset: Number(found[2]), antialias: found[1] === 'True' };
}

/** Resized position embeddings of a `ssl/pos-embed-interp` fixture: every size in every flavour. */
export function positionInterpolationCases(fixture: FixtureCase): GoldenFunction[] {
  const { cases_M_h0_w0_D: sizes, patch: patchSize, flavours } = fixture.json.hyper;

  return (sizes as [number, number, number, number][]).flatMap(([grid, rows, columns]) => {
    const stem = `M${grid}_to_${rows}x${columns}`;
    const size = { height: rows * patchSize, width: columns * patchSize, patchSize };
    const { pos_embed, W } = below(fixture, `${stem}/`);

    return Object.entries(flavours as Record<string, string>).map(([flavour, words]): GoldenFunction => {
      const expected = below(fixture, `${stem}/${flavour}/`);
      return {
        name: `${stem}, ${flavour}`,
        inputs: { pos_embed, W },
        compute: ({ pos_embed, W }) => {
          const { outputs, gradients } = gradientsOf({ pos_embed }, () => {
            const out = interpolatePositions(pos_embed as tf.Tensor3D, size, interpolationOf(words));
            return { value: tf.sum(tf.mul(out, W)), out };
          });
          return { out: outputs.out, grad: gradients['pos_embed'] };
        },
        check: (found) => {
          const near = { maxRel: fixture.tolerance(stem) };
          for (const name of ['out', 'grad']) expect(found[name], name).toBeAllclose(expected[name], near);
        },
      };
    });
  });
}
