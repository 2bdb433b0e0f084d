import { describe, expect, it } from 'vitest';
import { drawBlockMasks, maskedTokenBound, maskedTokens } from '../../src/index.js';
import { sha256 } from '../helpers.js';

const key = { seed: 1, step: 5 };

describe('drawBlockMasks', () => {
  it('caps a block at half the grid by default', () => {
    expect(drawBlockMasks({ grid: 14, images: 8 }, key)).toEqual(
      drawBlockMasks({ grid: 14, images: 8, maxPatches: 98 }, key),
    );
    expect(drawBlockMasks({ grid: 16, images: 8, ratio: [0.9, 1] }, key)).toEqual(
      drawBlockMasks({ grid: 16, images: 8, ratio: [0.9, 1], maxPatches: 128 }, key),
    );
  });

  it('draws anew for another step or seed', () => {
    const masks = drawBlockMasks({ grid: 8, images: 4 }, key);
    expect(drawBlockMasks({ grid: 8, images: 4 }, key)).toEqual(masks);
    expect(drawBlockMasks({ grid: 8, images: 4 }, { ...key, step: 6 })).not.toEqual(masks);
    expect(drawBlockMasks({ grid: 8, images: 4 }, { ...key, seed: 2 })).not.toEqual(masks);
  });

  // A patch release may not change what a seed gives.
  it('gives the recorded masks', () => {
    const { masks, targets } = drawBlockMasks({ grid: 14, images: 8, groups: 2 }, { seed: 2026, step: 9 });
    expect(sha256(masks).slice(0, 16)).toBe('367d53501856b39e');
    expect([...targets].filter((target) => target > 0)).toHaveLength(8);
  });

  it('masks the same number of views in every group', () => {
    const [images, groups] = [12, 3];
    const { targets } = drawBlockMasks({ grid: 8, images, groups }, key);
    for (let group = 0; group < groups; group++) {
      const rows = [0, 1].flatMap((view) => [0, 1, 2, 3].map((i) => view * images + group * 4 + i));
      expect(rows.filter((row) => targets[row] > 0)).toHaveLength(4);
    }
  });

  it.each([
    [{ grid: 0, images: 2 }, 'grid height'],
    [{ grid: 4, images: 2, ratio: [0.5, 0.1] }, 'ratio'],
    [{ grid: 4, images: 2, ratio: [0, 1.1] }, 'ratio'],
    [{ grid: 4, images: 2, probability: 2 }, 'probability'],
    [{ grid: 4, images: 4, groups: 3 }, 'multiple of the number of groups'],
  ] as const)('refuses %j', (options, part) => {
    expect(() => drawBlockMasks(options, key)).toThrow(
      expect.objectContaining({ code: 'BAD_OPTION', message: expect.stringContaining(part) }),
    );
  });
});

describe('maskedTokens', () => {
  it('lists masked patches by group, weighted by the masks they belong to, padded', () => {
    // Two pictures, two views, two patches each: rows are view 0 (a, b), view 1 (a, b).
    const masks = Uint8Array.from([1, 1, 0, 1, 0, 0, 1, 0]);
    expect(maskedTokens(masks, { patches: 2, images: 2, bound: 5 })).toEqual({
      indices: Int32Array.from([0, 1, 3, 6, 0]),
      weights: Float32Array.from([0.5, 0.5, 1, 1, 0]),
      counts: Int32Array.from([4]),
    });
    expect(maskedTokens(masks, { patches: 2, images: 2, groups: 2, bound: 3 })).toEqual({
      indices: Int32Array.from([0, 1, 0, 3, 6, 0]),
      weights: Float32Array.from([0.5, 0.5, 0, 1, 1, 0]),
      counts: Int32Array.from([2, 2]),
    });
  });

  it('allows no masks at all', () => {
    const { weights, counts } = maskedTokens(new Uint8Array(8), { patches: 4, images: 1, bound: 2 });
    expect([...weights, ...counts]).toEqual([0, 0, 0]);
  });

  it('refuses more than the bound, or sizes that do not fit', () => {
    expect(() => maskedTokens(new Uint8Array(8).fill(1), { patches: 4, images: 1, bound: 7 })).toThrow(
      'maskedTokenBound',
    );
    expect(() => maskedTokens(new Uint8Array(7), { patches: 4, images: 1, bound: 7 })).toThrow('sizes');
  });

  it('holds whatever drawBlockMasks gives', () => {
    const options = { grid: [6, 9], images: 6, groups: 2, ratio: [0.3, 0.9] } as const;
    const { masks } = drawBlockMasks(options, key);
    const { counts } = maskedTokens(masks, { patches: 54, images: 6, groups: 2, bound: maskedTokenBound(options) });
    expect(counts[0] + counts[1]).toBe(masks.reduce((sum, m) => sum + m, 0));
  });
});
