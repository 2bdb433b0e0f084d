import { propertyOptions } from '@selfsup/test-kit';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { batchAt, createSampler, sampleOrder } from '../../src/index.js';

const seed = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const sizes = fc
  .integer({ min: 1, max: 200 })
  .chain((size) => fc.record({ size: fc.constant(size), batchSize: fc.integer({ min: 1, max: size }) }));

test('an order is a permutation', () => {
  fc.assert(
    fc.property(seed, fc.nat(1000), fc.integer({ min: 1, max: 500 }), (s, epoch, size) => {
      expect([...sampleOrder(s, epoch, size)].sort((a, b) => a - b)).toEqual([...Array(size).keys()]);
    }),
    propertyOptions(),
  );
});

test('no sample comes twice in an epoch, at most a batch less one is left out', () => {
  fc.assert(
    fc.property(seed, sizes, fc.nat(5), (s, { size, batchSize }, epoch) => {
      const sampler = createSampler({ size, batchSize, seed: s });
      const seen = new Set<number>();
      for (let i = 0; i < sampler.stepsPerEpoch; i++) {
        const batch = sampler.at(epoch * sampler.stepsPerEpoch + i);
        expect(batch.epoch).toBe(epoch);
        for (const index of batch.indices) seen.add(index);
      }
      expect(seen.size).toBe(sampler.stepsPerEpoch * batchSize);
      expect(size - seen.size).toBeLessThan(batchSize);
    }),
    propertyOptions(),
  );
});

test('a step gives the same batch in any order of asking', () => {
  fc.assert(
    fc.property(
      seed,
      sizes,
      fc.array(fc.nat(2000), { minLength: 1, maxLength: 8 }),
      (s, { size, batchSize }, steps) => {
        const sampler = createSampler({ size, batchSize, seed: s });
        for (const step of steps) expect(sampler.at(step)).toEqual(batchAt(step, batchSize, size, s));
      },
    ),
    propertyOptions(),
  );
});

test('epochs and seeds differ', () => {
  const size = 100;
  const orders = [
    sampleOrder(0, 0, size),
    sampleOrder(0, 1, size),
    sampleOrder(1, 0, size),
    sampleOrder(2 ** 40, 0, size),
  ];
  expect(new Set(orders.map((order) => order.join())).size).toBe(orders.length);
});
