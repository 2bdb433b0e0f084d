import type { HostTensor } from '@selfsup/core';
import { fixtureCases } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { interpolatePositions, vit } from '@selfsup/backbone-vit';
import {
  below,
  configOf,
  expectParametersOf,
  gradientsOf,
  hostOf,
  joined,
  read,
  toImages,
  toTensor,
  toTensors,
} from '../support.js';

beforeAll(() => tf.setBackend('cpu'));

describe.each(fixtureCases('ssl/vit-dino'))('$name', (fixture) => {
  const { hyper } = fixture.json;
  const config = configOf(fixture.json, 'dino');
  const backbone = vit(config);
  const host = below(fixture, 'param/');

  it('has the parameters of the original', () => expectParametersOf(fixture, backbone.parameterSpecs()));

  describe.each(Object.keys(hyper.inputs_H_W))('%s', (stem) => {
    const near = { maxRel: fixture.tolerance(stem) };
    const expected = (name: string): HostTensor => hostOf(fixture.tensor(`${stem}/${name}`));
    const start = (): { params: Record<string, tf.Tensor>; images: tf.Tensor4D } => ({
      params: toTensors(host),
      images: toImages(fixture, `${stem}/input`),
    });
    const kept = expected('intermediate').shape[0];

    it('gives the CLS token, both ways', () => {
      tf.tidy(() => {
        const { params, images } = start();
        expect(read(backbone.apply(params, images).cls)).toBeAllclose(expected('cls'), near);
        expect(read(backbone.applyCls(params, images))).toBeAllclose(expected('cls'), near);
      });
    });

    it('gives the intermediate layers', () => {
      tf.tidy(() => {
        const { params, images } = start();
        const layers = backbone.intermediateLayers(params, images, kept).map(joined);
        expect(read(tf.stack(layers))).toBeAllclose(expected('intermediate'), near);
      });
    });

    it('gives the last self-attention', () => {
      tf.tidy(() => {
        const { params, images } = start();
        expect(read(backbone.lastSelfAttention(params, images))).toBeAllclose(expected('attention'), near);
      });
    });

    it('gives the position embedding', () => {
      tf.tidy(() => {
        const [height, width] = hyper.inputs_H_W[stem];
        const positions = toTensor(host.pos_embed) as tf.Tensor3D;
        const { patchSize, interpolation } = config;
        const got = interpolatePositions(positions, { height, width, patchSize }, interpolation);
        expect(read(got)).toBeAllclose(expected('pos_embed'), near);
      });
    });

    it('gives the gradients', () => {
      tf.tidy(() => {
        const { params, images } = start();
        const w = toTensor(expected('W'));
        const wTokens = toTensor(expected('W_tok'));
        const { value, gradients } = gradientsOf({ ...params, images }, () =>
          tf.add(
            tf.sum(tf.mul(backbone.applyCls(params, images), w)),
            tf.sum(tf.mul(tf.stack(backbone.intermediateLayers(params, images, kept).map(joined)), wTokens)),
          ),
        );
        expect(value).toBeAllclose(fixture.scalar(`${stem}/L`), { rtol: fixture.tolerance('scalar'), atol: 0 });
        expect(read(tf.transpose(gradients.images, [0, 3, 1, 2]))).toBeAllclose(expected('grad_input'), near);
        const wanted = below(fixture, `${stem}/grad/`);
        expect(Object.keys(wanted).length).toBeGreaterThan(0);
        for (const [name, gradient] of Object.entries(wanted)) {
          expect(read(gradients[name]), name).toBeAllclose(gradient, near);
        }
      });
    });
  });
});
