import { interpolatePositions, vit } from '@selfsup/backbone-vit';
import type { FixtureCase } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { below, type GoldenFunction, gradientsOf, prefixed, unchunked, under } from '@selfsup/test-kit/golden-case';
import { configOf, definedPreNorm, expectScore, joined, scoreOf, toImages } from '../support.js';

/** What the network gives for every picture size of a `ssl/vit-dinov2` fixture. */
export function vitDinov2Cases(fixture: FixtureCase): GoldenFunction[] {
  const { hyper } = fixture.json;
  const config = configOf(fixture.json, 'dinov2');
  const { patchSize, interpolation, depth } = config;
  const backbone = vit(config);

  return Object.entries<[number, number]>(hyper.inputs_H_W).map(([stem, [height, width]]) => {
    const { input, W, masks, ...expected } = unchunked(below(fixture, `${stem}/`));
    const kept = Object.keys(expected).filter((name) => /^inter\d+_cls$/.test(name)).length;
    return {
      name: stem,
      inputs: { ...prefixed('param/', unchunked(below(fixture, 'param/'))), input, W, ...(masks && { masks }) },
      compute: ({ input, W, masks, ...rest }) => {
        const params = under('param/', rest);
        const options = { preNorm: true, ...(masks && { mask: masks as tf.Tensor2D }) };
        const images = toImages(input);
        const layers = backbone.intermediateLayers(params, images, kept);
        const maps = backbone.featureMaps(params, images, [0, depth - 1], { norm: false });
        const { outputs, gradients } = gradientsOf({ ...params, input }, () => {
          const output = backbone.apply(params, toImages(input), options);
          const x_prenorm = joined(definedPreNorm(output));
          return {
            ...scoreOf(tf.mul(tf.add(joined(output), tf.mul(x_prenorm, 0.3)), W)),
            x_prenorm,
            x_norm_clstoken: output.cls,
            ...(output.registers && { x_norm_regtokens: output.registers }),
            x_norm_patchtokens: output.patches,
          };
        });
        const { input: grad_input, ...grads } = gradients;
        const positions = params['pos_embed'] as tf.Tensor3D;
        return {
          ...outputs,
          forward_nomask: backbone.applyCls(params, images),
          ...Object.fromEntries(layers.map(({ cls }, i) => [`inter${i}_cls`, cls])),
          ...Object.fromEntries(layers.map(({ patches }, i) => [`inter${i}_patch`, patches])),
          ...Object.fromEntries(maps.map(({ patches }, i) => [`raw${i}`, tf.transpose(patches, [0, 3, 1, 2])])),
          pos_embed: interpolatePositions(positions, { height, width, patchSize }, interpolation),
          grad_input,
          ...prefixed('grad/', grads),
        };
      },
      check: (found) => {
        expect('x_norm_regtokens' in found).toBe(config.registers > 0);
        const near = { maxRel: fixture.tolerance(stem) };
        for (const [name, tensor] of Object.entries(expected)) expect(found[name], name).toBeAllclose(tensor, near);
        expectScore(fixture, `${stem}/L`, found);
      },
    };
  });
}
