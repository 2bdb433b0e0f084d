import { describe, expect, it } from 'vitest';
import { drawBlockMasks, maskedTokenBound } from '../../src/index.js';
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

describe('maskedTokenBound', () => {
  // Shares of these grids are whole patches, up to the last bit of torch.linspace.
  it.each([
    [10, 6, 197],
    [10, 10, 320],
    [5, 12, 90],
    [20, 20, 2480],
  ])('grid %d, %d images: %d as DINOv2 counts', (grid, images, bound) => {
    expect(maskedTokenBound({ grid, images })).toBe(bound);
  });

  it('of some views is that of the largest masks', () => {
    const options = { grid: 10, images: 10 };
    expect(maskedTokenBound(options, 0)).toBe(0);
    expect(maskedTokenBound(options, 1)).toBe(50);
    expect(maskedTokenBound(options, 2)).toBe(96);
    expect(maskedTokenBound(options, 100)).toBe(maskedTokenBound(options));
    expect(maskedTokenBound({ ...options, probability: 0 }, 2)).toBe(0);
    for (const views of [-1, 0.5, Number.NaN])
      expect(() => maskedTokenBound(options, views)).toThrow(/maskedTokenBound: expected views/);
  });
});
