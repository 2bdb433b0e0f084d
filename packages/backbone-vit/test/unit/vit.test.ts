import { vit, vitConfig, type Vit } from '@selfsup/backbone-vit';
import { Rng, SslError } from '@selfsup/core';
import { backboneContract } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, beforeEach, afterEach, describe, expect, it } from 'vitest';
import { read, toTensors } from '../support.js';

beforeAll(() => tf.setBackend('cpu'));
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

const small = { width: 12, depth: 2, heads: 3, imageSize: 16, patchSize: 4 } as const;
const v1 = vit(vitConfig('vit_tiny', small));
const v2 = vit(vitConfig('vit_tiny', { ...small, flavour: 'simdinov2' }));

const pictures = (batch: number, height = 16, width = 16, channels = 3): tf.Tensor4D =>
  tf.tensor4d(Rng.of(5, 'pictures').normals(batch * height * width * channels), [batch, height, width, channels]);
const paramsOf = (backbone: Vit): Record<string, tf.Tensor> => toTensors(backbone.init(Rng.of(1, 'unit')));

describe.each([
  { name: 'dino', backbone: v1, withoutGradient: [] },
  { name: 'simdinov2', backbone: v2, withoutGradient: ['mask_token'] },
  {
    name: 'swiglu, five channels, no query bias',
    backbone: vit({ ...v2.config, ffn: 'swiglu', channels: 5, qkvBias: false, registers: 0 }),
    withoutGradient: ['mask_token'],
  },
])('$name', ({ name, backbone, withoutGradient }) => {
  const { channels, registers } = backbone.config;
  const outputs = (batch: number, patches: number): Record<string, number[]> => ({
    cls: [batch, 12],
    patches: [batch, patches, 12],
    ...(registers > 0 ? { registers: [batch, registers, 12] } : {}),
  });
  backboneContract({
    name,
    backbone,
    withoutGradient,
    sizes: [
      { images: [3, 16, 16, channels], outputs: outputs(3, 16) },
      { images: [2, 8, 8, channels], outputs: outputs(2, 4) },
      { images: [1, 4, 20, channels], outputs: outputs(1, 5) },
    ],
  });
});

describe('vit', () => {
  it('gives rows of attention that sum to 1', () => {
    const attention = v2.lastSelfAttention(paramsOf(v2), pictures(2));
    expect(attention.shape).toEqual([2, 3, 21, 21]);
    expect(read(tf.sum(attention, -1)).data).toBeAllclose(new Float32Array(2 * 3 * 21).fill(1));
  });

  it('gives the tokens of apply as its last intermediate layer', () => {
    const params = paramsOf(v2);
    const [layer] = v2.intermediateLayers(params, pictures(2), 1);
    const all = v2.apply(params, pictures(2));
    expect(Object.keys(layer)).toEqual(['cls', 'registers', 'patches']);
    expect(read(layer.cls)).toBeAllclose(read(all.cls));
    expect(read(layer.patches)).toBeAllclose(read(all.patches));
  });

  it('gives layers oldest first, however they are listed', () => {
    const params = paramsOf(v1);
    const byCount = v1.intermediateLayers(params, pictures(1), 2, { norm: false });
    const byIndex = v1.intermediateLayers(params, pictures(1), [1, 0], { norm: false });
    expect(byIndex.map(({ cls }) => read(cls).data)).toEqual(byCount.map(({ cls }) => read(cls).data));
    const [first] = v1.intermediateLayers(params, pictures(1), [0], { norm: false });
    expect(read(first.cls).data).toEqual(read(byCount[0].cls).data);
  });

  it('lays feature maps out as the picture is', () => {
    const params = paramsOf(v1);
    const [map] = v1.featureMaps(params, pictures(2, 8, 20), 1);
    const [layer] = v1.intermediateLayers(params, pictures(2, 8, 20), 1);
    expect(map.patches.shape).toEqual([2, 2, 5, 12]);
    expect(read(map.patches).data).toEqual(read(layer.patches).data);
  });

  it('replaces masked patches, and only those', () => {
    const params = { ...paramsOf(v2), mask_token: tf.randomNormal([1, 12], 0, 1, 'float32', 3) };
    const ones = tf.ones<tf.Rank.R2>([2, 16]);
    const other = tf.add<tf.Tensor4D>(pictures(2), 1);
    const masked = v2.apply(params, pictures(2), { mask: ones });
    expect(read(v2.apply(params, other, { mask: ones }).patches).data).toEqual(read(masked.patches).data);
    const plain = v2.apply(params, pictures(2));
    const none = v2.apply(params, pictures(2), { mask: tf.zeros([2, 16]) });
    expect(read(none.patches).data).toEqual(read(plain.patches).data);
    expect(read(plain.patches).data).not.toEqual(read(masked.patches).data);
  });

  it('ignores parameters of others', () => {
    const params = paramsOf(v1);
    const more = { ...params, 'head.mlp.0.weight': tf.zeros([2, 2]) };
    expect(read(v1.applyCls(more, pictures(1))).data).toEqual(read(v1.applyCls(params, pictures(1))).data);
  });

  it('leaves nothing behind but its results', () => {
    const params = paramsOf(v2);
    const images = pictures(2, 8, 12);
    const ways: (() => tf.TensorContainer)[] = [
      () => v2.applyCls(params, images),
      () => v2.intermediateLayers(params, images, 2),
      () => v2.featureMaps(params, images, 1),
      () => v2.lastSelfAttention(params, images),
      () => v2.apply(params, images, { preNorm: true }) as tf.TensorContainer,
    ];
    for (const way of ways) {
      const before = tf.memory().numTensors;
      const result = way();
      const returned = tf.memory().numTensors - before;
      tf.dispose(result);
      expect(returned).toBeGreaterThan(0);
      expect(tf.memory().numTensors).toBe(before);
    }
    const wrongMask = tf.zeros<tf.Rank.R2>([1, 1]);
    const before = tf.memory().numTensors;
    expect(() => v2.intermediateLayers(params, images, 3)).toThrow();
    expect(() => v2.apply(params, images, { mask: wrongMask })).toThrow();
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('bad input', () => {
  const refuses = (f: () => unknown, code: string, message: RegExp): void => {
    let caught: unknown;
    try {
      f();
    } catch (error) {
      caught = error;
    }
    if (!SslError.is(caught)) throw new Error(`not refused: ${String(caught)}`);
    expect(caught.code).toBe(code);
    expect(caught.message).toMatch(message);
  };

  it('refuses pictures that do not fit', () => {
    const params = paramsOf(v2);
    refuses(
      () => v2.apply(params, pictures(1, 16, 16, 4)),
      'SHAPE_MISMATCH',
      /\[B=1, H=16, W=16, 3\], got \[1, 16, 16, 4\]/,
    );
    refuses(
      () => v1.applyCls(paramsOf(v1), pictures(1, 3, 16)),
      'SHAPE_MISMATCH',
      /at least one patch.*smaller patches/,
    );
    refuses(
      () => v2.apply(params, pictures(1, 18, 13)),
      'SHAPE_MISMATCH',
      /multiples of patchSize = 4.*resize to 20 x 12/,
    );
    refuses(() => v2.apply(params, tf.cast(pictures(1), 'int32')), 'BAD_DATA', /float32.*scale to 0\.\.1/);
    refuses(
      () => v2.apply(params, pictures(1), { mask: tf.zeros([1, 15]) }),
      'SHAPE_MISMATCH',
      /mask of shape \[1, 16\]/,
    );
    refuses(() => v1.apply(paramsOf(v1), pictures(1), { mask: tf.zeros([1, 16]) }), 'BAD_OPTION', /maskToken: true/);
  });

  it('refuses parameters that do not fit, in one message', () => {
    const { cls_token: _, ...params } = paramsOf(v1);
    const wrong = { ...params, 'norm.weight': tf.ones([13]) };
    refuses(
      () => v1.apply(wrong, pictures(1)),
      'SHAPE_MISMATCH',
      /missing cls_token, mis-shaped norm\.weight \[13\] for \[12\]\. Fix: .*without prefix/,
    );
  });

  it('refuses blocks that do not exist', () => {
    for (const blocks of [0, 3, 1.5, [], [2], [-1], [0, 0]]) {
      refuses(() => v1.intermediateLayers(paramsOf(v1), pictures(1), blocks), 'BAD_OPTION', /1 to 2.*which has 2/);
    }
  });
});
