import { positionInterpolationMatrix, vit, vitConfig } from '@selfsup/backbone-vit';
import { Rng } from '@selfsup/core';
import { propertyOptions } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { read, toTensors } from '../support.js';

beforeAll(() => tf.setBackend('cpu'));

const anyConfig = fc
  .record({
    heads: fc.integer({ min: 1, max: 3 }),
    depth: fc.integer({ min: 1, max: 2 }),
    channels: fc.integer({ min: 1, max: 4 }),
    registers: fc.integer({ min: 0, max: 2 }),
    ffn: fc.constantFrom('mlp' as const, 'swiglu' as const),
    layerScale: fc.constantFrom(undefined, 0.5),
    antialias: fc.boolean(),
  })
  .map(({ heads, antialias, ...rest }) =>
    vitConfig('vit_tiny', {
      ...rest,
      heads,
      width: 4 * heads,
      imageSize: 6,
      patchSize: 2,
      interpolation: { offset: antialias ? 0 : 0.1, antialias },
      dropPathRule: 'uniform',
    }),
  );
const anySeed = fc.integer({ min: 0, max: 2 ** 31 - 1 });
const anyGrid = fc.record({ rows: fc.integer({ min: 1, max: 4 }), columns: fc.integer({ min: 1, max: 4 }) });

describe('vit', () => {
  it('treats the pictures of a batch apart and in any order', () => {
    const batch = 3;
    fc.assert(
      fc.property(anyConfig, anyGrid, anySeed, (config, { rows, columns }, seed) => {
        tf.tidy(() => {
          const backbone = vit(config);
          const params = toTensors(backbone.init(Rng.of(seed, 'init')));
          const rng = Rng.of(seed, 'pictures');
          const shape: [number, number, number, number] = [batch, 2 * rows, 2 * columns, config.channels];
          const images = tf.tensor4d(rng.normals(shape.reduce((a, b) => a * b)), shape);
          const order = rng.permutation(batch);
          const shuffled = tf.gather(images, tf.tensor1d(Int32Array.from(order), 'int32'));
          const whole = backbone.apply(params, images);
          const mixed = backbone.apply(params, shuffled);
          for (const name of ['cls', 'patches'] as const) {
            const parts = tf.split(whole[name] as tf.Tensor, batch);
            const expected = tf.concat(Array.from(order, (row) => parts[row]));
            expect(read(mixed[name])).toBeAllclose(read(expected), { maxRel: 1e-5 });
            const alone = backbone.apply(params, tf.slice(images, [batch - 1, 0, 0, 0]));
            expect(read(alone[name])).toBeAllclose(read(parts[batch - 1]), { maxRel: 1e-5 });
          }
          expect(read(backbone.applyCls(params, images))).toBeAllclose(read(whole.cls), { maxRel: 1e-5 });
        });
      }),
      propertyOptions(20),
    );
  });

  it('drops the same by a subset as by masks, values and gradients', () => {
    fc.assert(
      fc.property(anyConfig, anySeed, fc.integer({ min: 1, max: 4 }), fc.boolean(), (given, seed, k, short) => {
        tf.tidy(() => {
          const batch = 4;
          const config = { ...given, dropPathRate: k === batch ? 0.5 : 1 - k / batch };
          const backbone = vit(config);
          const params = toTensors(backbone.init(Rng.of(seed, 'init')));
          const rng = Rng.of(seed, 'pictures');
          const images = tf.tensor4d(rng.normals(batch * 16 * config.channels), [batch, 4, 4, config.channels]);
          const blocks = Array.from({ length: config.depth }, (_, l) => `blocks.${l}`);
          const chosen = blocks.map(() => [0, 1].map(() => [...rng.permutation(batch).subarray(0, k)]));
          const subsets = Object.fromEntries(
            blocks.map((name, l) => {
              const rows = tf.tensor2d(chosen[l], [2, k], 'int32');
              // With every row chosen there is no rate that says so: the factor of the masks comes in as data.
              return [name, k === batch ? { rows, scale: tf.fill<tf.Rank.R2>([2, k], 2) } : { rows }];
            }),
          );
          const keep = Object.fromEntries(
            blocks.map((name, l) => {
              const mask = chosen[l].map((rows) => Array.from({ length: batch }, (_, b) => Number(rows.includes(b))));
              return [name, tf.tensor2d(mask, [2, batch])];
            }),
          );
          const score = (options: object): { value: tf.Tensor; grads: tf.Tensor[] } =>
            tf.engine().gradients(
              () =>
                tf.tidy(() => {
                  const cls = short
                    ? backbone.applyCls(params, images, options)
                    : backbone.apply(params, images, options).cls;
                  return tf.sum(tf.mul(cls, tf.sin(tf.reshape(tf.range(0, cls.size), cls.shape))));
                }),
              [params['cls_token'], params['blocks.0.attn.qkv.weight'], images],
            );
          const [a, b] = [score({ subsets }), score({ keep })];
          expect(read(a.value).data[0]).toBeAllclose(read(b.value).data[0], { rtol: 1e-4, atol: 1e-5 });
          a.grads.forEach((grad, i) => expect(read(grad)).toBeAllclose(read(b.grads[i]), { maxRel: 1e-4, atol: 1e-7 }));
        });
      }),
      propertyOptions(20),
    );
  });
});

describe('position interpolation', () => {
  const anyCase = fc.record({
    from: fc.integer({ min: 1, max: 40 }),
    to: fc.integer({ min: 1, max: 40 }),
    offset: fc.constantFrom(0, 0.1),
    antialias: fc.boolean(),
  });

  it('is a weighted mean: constants stay what they are', () => {
    fc.assert(
      fc.property(anyCase, ({ from, to, ...interpolation }) => {
        const matrix = positionInterpolationMatrix(from, to, interpolation);
        for (let i = 0; i < to; i++) {
          const sum = matrix.subarray(i * from, (i + 1) * from).reduce((a, b) => a + b, 0);
          expect(sum).toBeCloseTo(1, 12);
        }
      }),
      propertyOptions(100),
    );
  });

  it('without an offset is the identity on its own size, and symmetric', () => {
    fc.assert(
      fc.property(anyCase, ({ from, to, antialias }) => {
        const same = positionInterpolationMatrix(from, from, { offset: 0, antialias });
        same.forEach((x, i) => expect(x).toBeCloseTo(i % (from + 1) === 0 ? 1 : 0, 12));
        const matrix = positionInterpolationMatrix(from, to, { offset: 0, antialias });
        matrix.forEach((x, i) => expect(matrix[matrix.length - 1 - i]).toBeCloseTo(x, 10));
      }),
      propertyOptions(100),
    );
  });

  it('samples DINO where the authors do: 14 to 6 at 0.6475 ... 12.1230', () => {
    const matrix = positionInterpolationMatrix(14, 6, { offset: 0.1, antialias: false });
    const nearest = (t: number): number => 1.25 * t ** 3 - 2.25 * t ** 2 + 1;
    expect(matrix[0 * 14 + 1]).toBeCloseTo(nearest(1 - 0.6475), 4);
    expect(matrix[5 * 14 + 12]).toBeCloseTo(nearest(12.123 - 12), 4);
  });
});
