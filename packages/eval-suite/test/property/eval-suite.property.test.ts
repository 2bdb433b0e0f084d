import '@tensorflow/tfjs';
import fc from 'fast-check';
import { Rng } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { propertyOptions } from '@selfsup/test-kit';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  codingRateOf,
  type Features,
  linearCka,
  meanCosine,
  nearestNeighbours,
  rankMeasures,
  singularValues,
  uniformity,
} from '../../src/index.js';
import { TopK } from '../../src/top-k.js';

beforeAll(() => tf.setBackend('cpu'));

const features = (minRows: number): fc.Arbitrary<Features> =>
  fc
    .record({ rows: fc.integer({ min: minRows, max: 12 }), width: fc.integer({ min: 1, max: 8 }), seed: fc.nat() })
    .map(({ rows, width, seed }) => ({ shape: [rows, width], data: Rng.of(seed, 'property').normals(rows * width) }));

/** Features turned by a rotation in the plane of two dimensions. */
function rotated({ shape, data }: Features, angle: number): Features {
  const [rows, width] = shape;
  const turned = Float64Array.from(data);
  for (let row = 0; row < rows && width > 1; row++) {
    const [x, y] = data.subarray(row * width, row * width + 2);
    turned[row * width] = Math.cos(angle) * x - Math.sin(angle) * y;
    turned[row * width + 1] = Math.sin(angle) * x + Math.cos(angle) * y;
  }
  return { shape, data: turned };
}

describe('TopK', () => {
  it('keeps what sorting would keep', () => {
    // Few different values, so that there are many ties.
    const streams = fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(streams, fc.integer({ min: 1, max: 20 }), fc.maxSafeInteger(), (values, wanted, seed) => {
        const k = Math.min(wanted, values.length);
        const top = new TopK(1, k);
        for (const index of Rng.of(seed, 'order').permutation(values.length)) top.offer(0, index, values[index]);
        const sorted = Array.from(values.keys()).sort((a, b) => values[b] - values[a] || a - b);
        expect(Array.from(top.finish().indices)).toEqual(sorted.slice(0, k));
      }),
      propertyOptions(200),
    );
  });
});

describe('nearestNeighbours', () => {
  it('agrees with sorting all similarities, for any block size', async () => {
    await fc.assert(
      fc.asyncProperty(
        features(1),
        fc.integer({ min: 1, max: 15 }),
        fc.integer({ min: 1, max: 6 }),
        async (bank, k, blockSize) => {
          const whole = await nearestNeighbours(bank, bank, k, { blockSize: 100 });
          const blocked = await nearestNeighbours(bank, bank, k, { blockSize });
          expect(blocked.indices).toEqual(whole.indices);
          expect(blocked.similarities).toBeAllclose(whole.similarities);
          for (let i = 0; i < whole.similarities.length; i++) {
            if (i % whole.k > 0) expect(whole.similarities[i]).toBeLessThanOrEqual(whole.similarities[i - 1]);
          }
        },
      ),
      propertyOptions(),
    );
  });

  it('does not depend on the length of rows, only on their direction', async () => {
    await fc.assert(
      fc.asyncProperty(features(2), fc.double({ min: 0.1, max: 10, noNaN: true }), async (bank, scale) => {
        const scaled: Features = { ...bank, data: bank.data.map((x) => x * scale) };
        const expected = await nearestNeighbours(bank, bank, 3);
        expect((await nearestNeighbours(bank, scaled, 3)).similarities).toBeAllclose(expected.similarities, {
          atol: 1e-5,
        });
      }),
      propertyOptions(20),
    );
  });
});

describe('feature diagnostics', () => {
  it('keep their bounds and do not change under rotation', () => {
    fc.assert(
      fc.property(features(4), fc.double({ min: 0, max: 6, noNaN: true }), (given, angle) => {
        const [rows, width] = given.shape;
        const most = Math.min(rows, width);
        const turned = rotated(given, angle);
        const measures = rankMeasures(singularValues(given));
        for (const [name, value] of Object.entries(measures)) {
          // RankMe's constant moves it a little beyond the bounds of a rank.
          expect(value, name).toBeGreaterThanOrEqual(1 - 1e-6);
          expect(value, name).toBeLessThanOrEqual(most * (1 + 1e-4));
        }
        expect(Object.values(rankMeasures(singularValues(turned)))).toBeAllclose(Object.values(measures), {
          rtol: 1e-5,
        });

        const { rate, alpha } = codingRateOf(given, 0.5);
        expect(rate).toBeGreaterThanOrEqual(Math.log(1 + width / 0.5) / 2 - 1e-9);
        expect(rate).toBeLessThanOrEqual((most / 2) * Math.log(1 + (alpha * rows) / most) + 1e-9);
        expect(codingRateOf(turned, 0.5).rate).toBeAllclose(rate);
        expect(codingRateOf(given, 1).rate).toBeLessThan(rate);

        expect(Math.abs(meanCosine(given))).toBeLessThanOrEqual(1 + 1e-12);
        expect(uniformity(given)).toBeLessThanOrEqual(0);
        expect(uniformity(given)).toBeGreaterThanOrEqual(-8);
        const cka = linearCka(given, turned);
        expect(cka === 0 || Math.abs(cka - 1) < 1e-6).toBe(true);
      }),
      propertyOptions(),
    );
  });
});
