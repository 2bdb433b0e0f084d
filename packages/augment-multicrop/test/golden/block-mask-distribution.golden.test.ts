import { Rng } from '@selfsup/core';
import { fixtureCases } from '@selfsup/test-kit';
import { describe, expect, it } from 'vitest';
import { drawBlockMask, drawBlockMasks, maskedTokenBound, type BlockMaskOptions } from '../../src/index.js';
import { kolmogorovSmirnov, mean } from '../statistics.js';

describe.each(fixtureCases('augment/block-mask-distribution'))('$name', (fixture) => {
  const p = fixture.json['parameters'];
  const expected = fixture.json['expected'];
  const options: BlockMaskOptions = {
    grid: p.grid,
    images: p.images_per_batch,
    probability: p.mask_probability,
    ratio: p.mask_ratio,
    minPatches: p.min_num_patches,
    maxPatches: p.max_num_patches,
    minAspect: p.min_aspect,
  };
  const patches = p.grid * p.grid;
  const rows = expected.crops_per_batch;
  const values = (name: string): ArrayLike<number> => fixture.tensor(name).data;

  describe('whole batches', () => {
    const batches = Array.from({ length: p.batches }, (_, step) => drawBlockMasks(options, { seed: 3, step }));
    const masks = batches.flatMap(({ masks, targets }) =>
      Array.from(targets, (target, row) => ({ target, row, mask: masks.subarray(row * patches, (row + 1) * patches) })),
    );
    const masked = masks.filter(({ target }) => target > 0);
    const counts = masked.map(({ mask }) => mask.reduce((sum, m) => sum + m, 0));

    it('masks a fixed number of views per batch', () => {
      for (const { targets } of batches) {
        expect(targets.length).toBe(rows);
        expect(expected.masked_crops_per_batch).toContain(targets.filter((target) => target > 0).length);
      }
    });

    it('counts and targets', () => {
      expect(kolmogorovSmirnov(counts, values('counts'))).toBeGreaterThan(1e-4);
      expect(
        kolmogorovSmirnov(
          masked.map(({ target }) => target),
          values('targets'),
        ),
      ).toBeGreaterThan(1e-4);
      const bound = (0.02 * patches) / Math.sqrt(counts.length / 250);
      expect(Math.abs(mean(counts) - expected.mean_count)).toBeLessThan(bound);
      expect(Math.max(...counts.map((count, i) => count - masked[i].target))).toBeLessThanOrEqual(0);
    });

    it('cells', () => {
      const wanted = values('cell_probability');
      const found = Array.from({ length: patches }, (_, i) => mean(masked.map(({ mask }) => mask[i])));
      const errors = found.map((share, i) => Math.abs(share - wanted[i]));
      const scale = Math.max(1, Math.sqrt(5000 / masked.length));
      expect(Math.max(...errors)).toBeLessThan(0.04 * scale);
      expect(mean(errors)).toBeLessThan(0.01 * scale);
    });

    it('shuffles the masks over the views', () => {
      for (let row = 0; row < rows; row++) {
        const share = mean(batches.map(({ targets }) => Number(targets[row] > 0)));
        expect(Math.abs(share - p.mask_probability)).toBeLessThan(5 * Math.sqrt(0.25 / p.batches));
      }
    });

    it('stays below the bound of masked patches', () => {
      expect(expected.upperbound).toContain(maskedTokenBound(options));
      for (const { masks } of batches) {
        expect(masks.reduce((sum, m) => sum + m, 0)).toBeLessThanOrEqual(maskedTokenBound(options));
      }
    });
  });

  describe('blocks', () => {
    const shape = {
      grid: [p.grid, p.grid],
      minPatches: p.min_num_patches,
      maxPatches: p.max_num_patches,
      minAspect: p.min_aspect,
    } as const;
    const rng = Rng.of(4, 'blocks');
    const masks = Array.from(values('targets'), (target) => drawBlockMask(rng, target, shape));

    it('numbers and sizes', () => {
      const blocks = masks.flatMap((mask) => mask.blocks);
      expect(
        kolmogorovSmirnov(
          masks.map((mask) => mask.blocks.length),
          values('nblocks'),
        ),
      ).toBeGreaterThan(1e-4);
      expect(
        kolmogorovSmirnov(
          blocks.map((block) => block.added),
          values('new_cells'),
        ),
      ).toBeGreaterThan(1e-4);
      expect(
        kolmogorovSmirnov(
          blocks.map((block) => block.cap),
          values('caps'),
        ),
      ).toBeGreaterThan(1e-4);
      const missed = mean(masks.map((mask, i) => Number(mask.count < values('targets')[i])));
      expect(Math.abs(missed - expected.fraction_target_not_reached)).toBeLessThan(4 * Math.sqrt(0.15 / masks.length));
    });

    it('first blocks', () => {
      const sizes = values('first_block_hw');
      const first = Array.from({ length: sizes.length / 2 }, () => {
        const target = Math.trunc(patches * rng.uniform(p.mask_ratio[0], p.mask_ratio[1]));
        return drawBlockMask(rng, target, shape).blocks[0];
      });
      const column = (c: number): number[] => first.map((_, i) => sizes[2 * i + c]);
      expect(
        kolmogorovSmirnov(
          first.map((block) => block.height),
          column(0),
        ),
      ).toBeGreaterThan(1e-4);
      expect(
        kolmogorovSmirnov(
          first.map((block) => block.width),
          column(1),
        ),
      ).toBeGreaterThan(1e-4);
    });
  });
});
