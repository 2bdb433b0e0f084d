import { drawKeepMasks, drawSubsets, dropPathRates, subsetSize, vit, vitConfig } from '@selfsup/backbone-vit';
import { Rng, SslError } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { toTensors } from '../support.js';

beforeAll(() => tf.setBackend('cpu'));
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

const base = vitConfig('vit_tiny', { width: 12, depth: 4, heads: 3, imageSize: 16, patchSize: 4, dropPathRate: 0.3 });
const uniform = { ...base, dropPathRule: 'uniform' } as const;
const rng = (): Rng => Rng.of(3, 'drop');

describe('rates', () => {
  it('rise from 0 to the rate, or are the rate everywhere', () => {
    expect(dropPathRates(base)).toEqual([0, 0.3 / 3, (2 * 0.3) / 3, 0.3]);
    expect(dropPathRates(uniform)).toEqual([0.3, 0.3, 0.3, 0.3]);
    expect(dropPathRates({ ...base, depth: 1 })).toEqual([0]);
  });

  it('of a float32 ramp give a smaller subset where float64 rounds up', () => {
    const [double, single] = (['linear', 'linear-float32'] as const).map((dropPathRule) =>
      dropPathRates({ ...base, dropPathRule }),
    );
    expect(single).toEqual(single.map(Math.fround));
    expect(single).toBeAllclose(double, { rtol: 1e-6, atol: 0 });
    expect([subsetSize(10, double[3]), subsetSize(10, single[3])]).toEqual([7, 6]);
  });

  it('leave at least one row', () => {
    expect([subsetSize(1, 0.9), subsetSize(4, 0.9), subsetSize(8, 0.5)]).toEqual([1, 1, 4]);
  });
});

describe('keep masks', () => {
  it('are drawn for the blocks that drop, at their rates', () => {
    const masks = drawKeepMasks(base, rng(), 20_000);
    expect(Object.keys(masks)).toEqual(['blocks.1', 'blocks.2', 'blocks.3']);
    dropPathRates(base).forEach((rate, index) => {
      if (rate === 0) return;
      const { shape, dtype, data } = masks[`blocks.${index}`];
      expect({ shape, dtype }).toEqual({ shape: [2, 20_000], dtype: 'f32' });
      expect(new Set(data)).toEqual(new Set([0, 1]));
      for (const half of [data.subarray(0, 20_000), data.subarray(20_000)]) {
        const mean = Array.from(half).reduce((sum, x) => sum + x, 0) / half.length;
        expect(Math.abs(mean - (1 - rate))).toBeLessThan(0.015);
      }
    });
  });

  it('of the first rows do not depend on how many follow', () => {
    const few = drawKeepMasks(base, rng(), 5)['blocks.2'].data;
    const many = drawKeepMasks(base, rng(), 9)['blocks.2'].data;
    expect([...many.subarray(0, 5), ...many.subarray(9, 14)]).toEqual([...few]);
  });

  it('stay the same from release to release', () => {
    expect(Array.from(drawKeepMasks(uniform, rng(), 8)['blocks.3'].data).join('')).toMatchInlineSnapshot(
      `"0111111011101111"`,
    );
    expect(Array.from(drawSubsets(uniform, rng(), { crops: 2, images: 3 })['blocks.3'].data)).toMatchInlineSnapshot(`
      [
        3,
        2,
        1,
        4,
        0,
        3,
        4,
        1,
      ]
    `);
  });
});

describe('subsets', () => {
  it('take the same number of rows of every group', () => {
    const [crops, images, groups] = [3, 6, 2];
    const subsets = drawSubsets(uniform, rng(), { crops, images, groups });
    const k = subsetSize((crops * images) / groups, 0.3);
    expect(Object.keys(subsets)).toEqual(['blocks.0', 'blocks.1', 'blocks.2', 'blocks.3']);
    for (const { shape, dtype, data } of Object.values(subsets)) {
      expect({ shape, dtype }).toEqual({ shape: [2, groups * k], dtype: 'i32' });
      for (const branch of [0, 1]) {
        const rows = Array.from(data.subarray(branch * groups * k, (branch + 1) * groups * k));
        expect(new Set(rows).size).toBe(groups * k);
        for (const group of [0, 1]) {
          const own = rows.filter((row) => Math.floor((row % images) / (images / groups)) === group);
          expect(own.length).toBe(k);
          expect(own.every((row) => row >= 0 && row < crops * images)).toBe(true);
        }
      }
    }
  });

  it('take every row equally often', () => {
    const counts = new Array<number>(5).fill(0);
    for (let i = 0; i < 2000; i++) {
      const rows = drawSubsets({ ...uniform, depth: 1 }, Rng.of(i, 'drop'), { crops: 1, images: 5 })['blocks.0'].data;
      for (const row of rows) counts[row]++;
    }
    const expected = (2000 * 2 * 3) / 5;
    for (const count of counts) expect(Math.abs(count / expected - 1)).toBeLessThan(0.06);
  });

  it('of a single row take it, and scale what it adds', () => {
    const network = vit({ ...uniform, depth: 1 });
    const params = toTensors(network.init(rng()));
    const image: tf.Tensor4D = tf.ones([1, 16, 16, 3]);
    const rows: tf.Tensor2D = tf.zeros([2, 1], 'int32');
    const at = (scale: number): tf.Tensor2D => {
      const subsets = { 'blocks.0': { rows, scale: tf.fill<tf.Rank.R2>([2, 1], scale) } };
      return network.apply(params, image, { subsets }).cls;
    };
    expect(network.apply(params, image, { subsets: { 'blocks.0': { rows } } }).cls.dataSync()).toBeAllclose(
      network.apply(params, image).cls.dataSync(),
    );
    expect(at(1).dataSync()).toBeAllclose(network.apply(params, image).cls.dataSync());
    const without = { 'blocks.0': tf.zeros<tf.Rank.R2>([2, 1]) };
    expect(at(0).dataSync()).toBeAllclose(network.apply(params, image, { keep: without }).cls.dataSync());
  });

  it('give the same tokens and gradients when all rows are computed', () => {
    const [crops, images, groups] = [2, 4, 2];
    const draws = drawSubsets(uniform, rng(), { crops, images, groups });
    const params = toTensors(vit(uniform).init(rng()));
    const pictures = tf.randomUniform<tf.Rank.R4>([crops * images, 16, 16, 3], -1, 1, 'float32', 1);
    const found = (['chosen', 'all'] as const).map((dropPathRows) => {
      const network = vit({ ...uniform, dropPathRows });
      const subsets = Object.fromEntries(
        Object.entries(draws).map(([name, { data, shape }]) => [
          name,
          { rows: tf.tensor2d(data, shape as [number, number]) },
        ]),
      );
      const names = Object.keys(params);
      const { value, grads } = tf.valueAndGrads((...weights: tf.Tensor[]) => {
        const { cls, patches } = network.apply(Object.fromEntries(names.map((n, i) => [n, weights[i]])), pictures, {
          subsets,
        });
        return tf.add(tf.sum(tf.sin(cls)), tf.sum(tf.cos(patches)));
      })(names.map((name) => params[name]));
      return [value, ...grads].map((tensor) => tensor.dataSync());
    });
    found[1].forEach((values, i) => expect(values).toBeAllclose(found[0][i], { rtol: 1e-4, atol: 1e-4 }));
  });

  it('refuse groups that do not divide the images', () => {
    expect(() => drawSubsets(uniform, rng(), { crops: 2, images: 5, groups: 2 })).toThrow(/multiple of groups/);
  });
});

describe('options', () => {
  const backbone = vit(base);
  const params = (): Record<string, tf.Tensor> => toTensors(backbone.init(rng()));
  const images = (): tf.Tensor4D => tf.zeros([2, 16, 16, 3]);
  const refuses = (options: Parameters<typeof backbone.apply>[2], code: string, message: RegExp): void => {
    let caught: unknown;
    try {
      backbone.apply(params(), images(), options);
    } catch (error) {
      caught = error;
    }
    if (!SslError.is(caught)) throw new Error(`not refused: ${String(caught)}`);
    expect(caught.code).toBe(code);
    expect(caught.message).toMatch(message);
  };
  const ones = (rows = 2): tf.Tensor2D => tf.ones([2, rows]);

  it('must name exactly the blocks that drop', () => {
    refuses({ keep: {} }, 'BAD_OPTION', /for blocks\.1, blocks\.2, blocks\.3, got none/);
    refuses({ keep: { block1: ones() } }, 'BAD_OPTION', /got block1.*drawKeepMasks/);
    refuses(
      { keep: Object.fromEntries([0, 1, 2, 3].map((l) => [`blocks.${l}`, ones()])) },
      'BAD_OPTION',
      /got blocks\.0, blocks\.1/,
    );
    refuses({ keep: {}, subsets: {} }, 'BAD_OPTION', /got both/);
  });

  it('must fit the batch', () => {
    const keep = Object.fromEntries([1, 2, 3].map((l) => [`blocks.${l}`, ones(3)]));
    refuses({ keep }, 'SHAPE_MISMATCH', /keep\["blocks\.1"\] of shape \[2, 2\]/);
    const subsets = Object.fromEntries([1, 2, 3].map((l) => [`blocks.${l}`, { rows: ones(1), scale: ones(2) }]));
    refuses({ subsets }, 'SHAPE_MISMATCH', /scale of shape \[2, 1\]/);
  });

  it('that drop every branch leave the embedding', () => {
    const network = vit(uniform);
    const keep = Object.fromEntries([0, 1, 2, 3].map((l) => [`blocks.${l}`, tf.zeros<tf.Rank.R2>([2, 2])]));
    const { preNorm } = network.apply(params(), images(), { keep, preNorm: true });
    const positions = params().pos_embed.dataSync().slice(0, 12);
    const cls = params().cls_token.dataSync();
    expect(preNorm?.cls.dataSync().slice(0, 12)).toBeAllclose(positions.map((p, i) => p + cls[i]));
  });
});
