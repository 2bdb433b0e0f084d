import fc from 'fast-check';
import { propertyOptions } from '@selfsup/test-kit';
import { describe, expect, it } from 'vitest';
import { Rng } from '../../src/index.js';

const seeds = fc.maxSafeInteger();

describe('Rng', () => {
  it('repeats itself for any seed and name', () => {
    const draws = (seed: number, purpose: string, sample: number): number[] => {
      const rng = Rng.of(seed, purpose, sample);
      return [rng.bits(), rng.uniform(), rng.normal(), rng.integer(10), rng.normal()];
    };
    fc.assert(
      fc.property(seeds, fc.string(), fc.nat(), (seed, purpose, sample) => {
        expect(draws(seed, purpose, sample)).toEqual(draws(seed, purpose, sample));
      }),
      propertyOptions(),
    );
  });

  it('keeps integers and uniform numbers in range', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 1, max: 2 ** 32 }), (seed, n) => {
        const rng = Rng.of(seed, 'range');
        for (let i = 0; i < 20; i++) {
          const k = rng.integer(n);
          expect(Number.isInteger(k) && k >= 0 && k < n).toBe(true);
          const u = rng.uniform();
          expect(u >= 0 && u < 1).toBe(true);
        }
      }),
      propertyOptions(),
    );
  });

  it('permutes: every element once', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 0, max: 300 }), (seed, n) => {
        const order = Rng.of(seed, 'order').permutation(n);
        expect(Array.from(order).sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
      }),
      propertyOptions(),
    );
  });
});
