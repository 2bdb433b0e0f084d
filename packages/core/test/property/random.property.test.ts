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

  it('draws many at once from the words that single draws get, and goes on after them', () => {
    const many = fc.oneof(fc.nat({ max: 20 }), fc.integer({ min: 4090, max: 4110 }));
    fc.assert(
      fc.property(seeds, fc.nat({ max: 5 }), many, many, (seed, before, uniform, normal) => {
        const [bulk, single] = [Rng.of(seed, 'many'), Rng.of(seed, 'many')];
        for (let i = 0; i < before; i++) expect(bulk.bits()).toBe(single.bits());
        const words = (n: number): number[] => Array.from({ length: n }, () => single.bits());
        expect(bulk.uniforms(uniform, -1, 3)).toEqual(Float32Array.from(words(uniform), (u) => -1 + (u * 4) / 2 ** 32));
        const pairs = words(normal + (normal % 2));
        const expected = Float32Array.from({ length: normal }, (_, i) => {
          const first = i - (i % 2);
          const angle = (2 * Math.PI * pairs[first + 1]) / 2 ** 32;
          const radius = 0.5 * Math.sqrt(-2 * Math.log((pairs[first] + 1) / 2 ** 32));
          return 2 + radius * (i === first ? Math.cos(angle) : Math.sin(angle));
        });
        expect(bulk.normals(normal, 0.5, 2)).toEqual(expected);
        expect(bulk.bits()).toBe(single.bits());
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
