import { interpolatePositions, vit } from '@selfsup/backbone-vit';
import type { FixtureCase } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import {
  below,
  type GoldenFunction,
  gradientsOf,
  prefixed,
  under,
} from '../../../recipes/test/compiled/golden-case.js';
import { configOf, joined, toImages } from '../support.js';

/** What the network gives for every picture size of a `ssl/vit-dino` fixture. */
export function vitDinoCases(fixture: FixtureCase): GoldenFunction[] {
  const { hyper } = fixture.json;
  const config = configOf(fixture.json, 'dino');
  const { patchSize, interpolation } = config;
  const backbone = vit(config);

  return Object.entries<[number, number]>(hyper.inputs_H_W).map(([stem, [height, width]]) => {
    const { input, W, W_tok, ...expected } = below(fixture, `${stem}/`);
    const kept = expected['intermediate'].shape[0];
    return {
      name: stem,
      inputs: { ...prefixed('param/', below(fixture, 'param/')), input, W, W_tok },
      compute: ({ input, W, W_tok, ...rest }) => {
        const params = under('param/', rest);
        const images = toImages(input);
        const intermediate = (pictures: tf.Tensor4D): tf.Tensor =>
          tf.stack(backbone.intermediateLayers(params, pictures, kept).map(joined));
        const { value, gradients } = gradientsOf({ ...params, input }, () => {
          const pictures = toImages(input);
          const cls = backbone.applyCls(params, pictures);
          return tf.add(tf.sum(tf.mul(cls, W)), tf.sum(tf.mul(intermediate(pictures), W_tok)));
        });
        const { input: grad_input, ...grads } = gradients;
        const positions = params['pos_embed'] as tf.Tensor3D;
        return {
          cls: backbone.apply(params, images).cls,
          'cls alone': backbone.applyCls(params, images),
          intermediate: intermediate(images),
          attention: backbone.lastSelfAttention(params, images),
          pos_embed: interpolatePositions(positions, { height, width, patchSize }, interpolation),
          L: value,
          grad_input,
          ...prefixed('grad/', grads),
        };
      },
      check: (found) => {
        const near = { maxRel: fixture.tolerance(stem) };
        for (const [name, tensor] of Object.entries(expected)) expect(found[name], name).toBeAllclose(tensor, near);
        expect(found['cls alone']).toBeAllclose(expected['cls'], near);
        expect(found['L'].data[0]).toBeAllclose(fixture.scalar(`${stem}/L`), {
          rtol: fixture.tolerance('scalar'),
          atol: 0,
        });
      },
    };
  });
}
