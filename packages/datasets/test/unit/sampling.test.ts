import { describe, expect, test } from 'vitest';
import { batchAt, createSampler, createShardedSampler, sampleOrder } from '../../src/index.js';

describe('sampling', () => {
  test('the order of a seed never changes', () => {
    expect([...sampleOrder(0, 0, 10)]).toEqual([8, 9, 5, 4, 1, 3, 6, 7, 2, 0]);
    expect([...sampleOrder(7, 3, 10)]).toEqual([2, 8, 6, 4, 7, 0, 5, 9, 1, 3]);
  });

  test('the incomplete batch is dropped', () => {
    const sampler = createSampler({ size: 10, batchSize: 4, seed: 1 });
    expect(sampler.stepsPerEpoch).toBe(2);
    const order = sampleOrder(1, 0, 10);
    expect(sampler.at(1)).toEqual({ indices: order.slice(4, 8), epochs: new Uint32Array(4) });
    expect(sampler.at(2)).toEqual({
      indices: sampleOrder(1, 1, 10).slice(0, 4),
      epochs: Uint32Array.of(1, 1, 1, 1),
    });
  });

  test.each([0, 11, 2.5, -1, NaN])('batch size %d is refused for ten images', (batchSize) => {
    expect(() => batchAt(0, batchSize, 10, 0)).toThrow(/batch size from 1 to the 10 images/);
  });

  test.each([0, 3, 1.5])('%d shards are refused for a batch of 4', (shards) => {
    expect(() => createShardedSampler({ size: 10, batchSize: 4, seed: 0, shards })).toThrow(/divides the batch of 4/);
  });
});
