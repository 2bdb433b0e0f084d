import { describe, expect, it } from 'vitest';
import { Rng } from '../../src/index.js';

const draw = (rng: Rng, n: number): number[] => Array.from({ length: n }, () => rng.bits());
const mean = (values: ArrayLike<number>): number => Array.from(values).reduce((sum, x) => sum + x, 0) / values.length;

describe('Rng', () => {
  it('starts every stream where it started before: a stored run must be repeatable by later releases', () => {
    // Philox over (block, view, sample, epoch) with the seed and the FNV-1a hash of the purpose, worked out in Python.
    expect(draw(Rng.of(0, 'crop'), 6)).toEqual([
      1221702007, 1723994206, 3629607234, 3249193703, 2530972469, 3483571375,
    ]);
    expect(draw(Rng.of(2 ** 40 + 7, 'crop', 3, 5, 1), 2)).toEqual([1181395439, 3665151810]);
  });

  it.each([0.5, NaN, Infinity, 1e30, 2 ** 53])('refuses the seed %d, which would quietly be another one', (seed) => {
    expect(() => Rng.of(seed, 'crop')).toThrow(
      expect.objectContaining({
        code: 'BAD_OPTION',
        message: expect.stringContaining('pass a whole number') as string,
      }),
    );
  });

  it('gives streams that do not depend on each other or on the order of creation', () => {
    const a = Rng.of(1, 'crop', 0, 1);
    const b = Rng.of(1, 'crop', 0, 2);
    const mixed = [a.bits(), b.bits(), a.bits(), b.bits()];
    expect(draw(Rng.of(1, 'crop', 0, 2), 2)).toEqual([mixed[1], mixed[3]]);
    expect(draw(Rng.of(1, 'crop', 0, 1), 2)).toEqual([mixed[0], mixed[2]]);
  });

  it('gives another stream for another seed, purpose, epoch, sample or view', () => {
    const streams = [
      Rng.of(1, 'crop'),
      Rng.of(2, 'crop'),
      Rng.of(-1, 'crop'),
      Rng.of(1 + 2 ** 32, 'crop'),
      Rng.of(1, 'flip'),
      Rng.of(1, 'crop', 1),
      Rng.of(1, 'crop', 0, 1),
      Rng.of(1, 'crop', 0, 0, 1),
    ];
    expect(new Set(streams.map((rng) => draw(rng, 2).join())).size).toBe(streams.length);
  });

  it('gives neighbouring streams that are not correlated', () => {
    const n = 20_000;
    const products = Array.from({ length: n }, (_, i) => {
      const [x, y] = [Rng.of(5, 'sample', i), Rng.of(5, 'sample', i + 1)].map((rng) => rng.uniform() - 0.5);
      return x * y;
    });
    expect(Math.abs(mean(products))).toBeLessThan(5 / 12 / Math.sqrt(n));
  });

  it('draws uniform numbers from the whole half-open range', () => {
    const rng = Rng.of(2, 'uniform');
    const values = rng.uniforms(50_000, -2, 6);
    expect(Math.min(...values)).toBeGreaterThanOrEqual(-2);
    expect(Math.max(...values)).toBeLessThanOrEqual(6);
    expect(mean(values)).toBeCloseTo(2, 1);
    expect(new Set(Array.from({ length: 1000 }, () => rng.uniform())).size).toBe(1000);
  });

  it('draws integers without bias, also where a plain remainder would double some of them', () => {
    const n = 3 * 2 ** 30;
    const rng = Rng.of(3, 'integer');
    const low = Array.from({ length: 20_000 }, () => (rng.integer(n) < n / 3 ? 1 : 0));
    expect(mean(low)).toBeGreaterThan(0.32);
    expect(mean(low)).toBeLessThan(0.347);
  });

  it('draws every integer equally often (chi-square)', () => {
    const rng = Rng.of(4, 'dice');
    const counts = new Array<number>(6).fill(0);
    for (let i = 0; i < 60_000; i++) counts[rng.integer(6)]++;
    const chiSquare = counts.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0);
    // 99.99 % of fair dice stay below, with 5 degrees of freedom.
    expect(chiSquare).toBeLessThan(25.7);
  });

  it('draws normal numbers with the moments asked for', () => {
    const values = Rng.of(5, 'normal').normals(100_000, 3, -1);
    const centre = mean(values);
    const moment = (k: number): number => mean(Array.from(values, (x) => ((x - centre) / 3) ** k));
    expect(centre).toBeCloseTo(-1, 1);
    expect(moment(2)).toBeCloseTo(1, 1);
    expect(moment(3)).toBeCloseTo(0, 1);
    expect(Math.abs(moment(4) - 3)).toBeLessThan(0.15);
  });

  it('is true as often as asked', () => {
    const rng = Rng.of(6, 'chance');
    expect(mean(Array.from({ length: 20_000 }, () => (rng.chance(0.2) ? 1 : 0)))).toBeCloseTo(0.2, 1);
    expect(rng.chance(0)).toBe(false);
    expect(rng.chance(1)).toBe(true);
  });

  it('puts every element in every place equally often', () => {
    const first = new Array<number>(5).fill(0);
    const rng = Rng.of(7, 'order');
    for (let i = 0; i < 20_000; i++) first[rng.permutation(5)[0]]++;
    for (const count of first) expect(Math.abs(count - 4000)).toBeLessThan(300);
  });
});
