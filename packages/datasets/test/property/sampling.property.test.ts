import { propertyOptions } from '@selfsup/test-kit';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { batchAt, createSampler, createShardedSampler, sampleOrder } from '../../src/index.js';

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
        expect([...new Set(batch.epochs)]).toEqual([epoch]);
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

test('a shard keeps to its own part of the data, which it goes through over and over', () => {
  const shardings = fc
    .record({ shards: fc.integer({ min: 1, max: 5 }), share: fc.integer({ min: 1, max: 6 }), more: fc.nat(40) })
    .map(({ shards, share, more }) => ({ shards, batchSize: shards * share, size: shards * share + more }));
  fc.assert(
    fc.property(seed, shardings, (s, options) => {
      const { shards, batchSize, size } = options;
      const sampler = createShardedSampler({ ...options, seed: s });
      const share = batchSize / shards;
      const passes = Array.from({ length: shards }, () => [new Set<number>(), new Set<number>()]);
      // Long enough for two passes of the longest shard.
      for (let step = 0; step < Math.ceil((2 * Math.ceil(size / shards)) / share); step++) {
        const { indices, epochs } = sampler.at(step);
        indices.forEach((index, row) => {
          if (epochs[row] > 1) return;
          const seen = passes[Math.floor(row / share)][epochs[row]];
          expect(seen.has(index)).toBe(false);
          seen.add(index);
        });
      }
      const sorted = (set: Set<number>): number[] => [...set].sort((a, b) => a - b);
      for (const [first, second] of passes) expect(sorted(second)).toEqual(sorted(first));
      expect(sorted(new Set(passes.flatMap(([first]) => [...first])))).toEqual([...Array(size).keys()]);
    }),
    propertyOptions(),
  );
});

test('a step of a sharded sampler gives the same batch in any order of asking', () => {
  const options = { size: 23, batchSize: 6, shards: 3, seed: 5 };
  const [one, other] = [createShardedSampler(options), createShardedSampler(options)];
  const steps = [9, 0, 31, 2, 9];
  const batches = steps.map((step) => one.at(step));
  [...steps].reverse().forEach((step, i) => expect(other.at(step)).toEqual(batches[steps.length - 1 - i]));
});
