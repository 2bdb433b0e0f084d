import { interpolatePositions, vit } from '@selfsup/backbone-vit';
import type { FixtureCase } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { below, type GoldenFunction, gradientsOf, prefixed, under } from '@selfsup/test-kit/golden-case';
import { configOf, expectScore, joined, scoreOf, toImages } from '../support.js';

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
        const positions = params['pos_embed'] as tf.Tensor3D;
        const images = toImages(input);
        const { outputs, gradients } = gradientsOf({ ...params, input }, () => {
          const pictures = toImages(input);
          const clsAlone = backbone.applyCls(params, pictures);
          const intermediate = tf.stack(backbone.intermediateLayers(params, pictures, kept).map(joined));
          return { ...scoreOf(tf.mul(clsAlone, W), tf.mul(intermediate, W_tok)), clsAlone, intermediate };
        });
        const { input: grad_input, ...grads } = gradients;
        return {
          ...outputs,
          cls: backbone.apply(params, images).cls,
          attention: backbone.lastSelfAttention(params, images),
          pos_embed: interpolatePositions(positions, { height, width, patchSize }, interpolation),
          grad_input,
          ...prefixed('grad/', grads),
        };
      },
      check: (found) => {
        const near = { maxRel: fixture.tolerance(stem) };
        for (const [name, tensor] of Object.entries(expected)) expect(found[name], name).toBeAllclose(tensor, near);
        expect(found['clsAlone']).toBeAllclose(expected['cls'], near);
        expectScore(fixture, `${stem}/L`, found);
      },
    };
  });
}
