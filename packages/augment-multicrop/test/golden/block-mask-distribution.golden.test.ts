import { Rng } from '@selfsup/core';
import { fixtureCases } from '@selfsup/test-kit';
import { describe, expect, it } from 'vitest';
import {
  drawBlockMask,
  drawBlockMasks,
  maskedTokenBound,
  type BlockMaskOptions,
  type MaskBlock,
} from '../../src/index.js';
import { kolmogorovSmirnov, mean } from '../statistics.js';

describe.each(fixtureCases('augment/block-mask-distribution'))('$name', (fixture) => {
  const p = fixture.json['parameters'];
  const expected = fixture.json['expected'];
  const patches = p.grid * p.grid;
  const rows = expected.crops_per_batch;
  /** Views per batch that are meant to get a mask. */
  const perBatch = Math.floor(rows * p.mask_probability);
  const options: BlockMaskOptions = {
    grid: p.grid,
    images: p.images_per_batch,
    globalViews: rows / p.images_per_batch,
    probability: p.mask_probability,
    ratio: p.mask_ratio,
    minPatches: p.min_num_patches,
    maxPatches: p.max_num_patches,
    minAspect: p.min_aspect,
  };
  const values = (name: string): ArrayLike<number> => fixture.tensor(name).data;
  /** The lightest masks of a small grid can have nothing to cover. */
  const someEmpty = Math.trunc(patches * p.mask_ratio[0]) === 0;

  describe('whole batches', () => {
    // More batches than the fixture's: the bounds are meant for its sampling error, ours comes on top.
    const steps = 4 * p.batches;
    const batches = Array.from({ length: steps }, (_, step) => drawBlockMasks(options, { seed: 3, step }));
    const masked = batches.flatMap(({ masks, targets }) =>
      Array.from(targets, (target, row) => ({ target, mask: masks.subarray(row * patches, (row + 1) * patches) }))
        .sort((a, b) => b.target - a.target)
        .slice(0, perBatch),
    );
    const counts = masked.map(({ mask }) => mask.reduce((sum, m) => sum + m, 0));

    it('masks a fixed number of views per batch', () => {
      for (const { targets } of batches) {
        expect(targets.length).toBe(rows);
        const wanted = targets.filter((target) => target > 0).length;
        if (someEmpty) expect(wanted).toBeLessThanOrEqual(perBatch);
        else expect(wanted).toBe(perBatch);
      }
      if (!someEmpty) expect(expected.masked_crops_per_batch).toContain(perBatch);
    });

    it('counts and targets', () => {
      expect(kolmogorovSmirnov(counts, values('counts'))).toBeGreaterThan(1e-4);
      expect(
        kolmogorovSmirnov(
          masked.map(({ target }) => target),
          values('targets'),
        ),
      ).toBeGreaterThan(1e-4);
      const bound = (0.02 * patches) / Math.sqrt(values('counts').length / 250);
      expect(Math.abs(mean(counts) - expected.mean_count)).toBeLessThan(bound);
      expect(counts.filter((count, i) => count > masked[i].target)).toEqual([]);
    });

    it('cells', () => {
      const wanted = values('cell_probability');
      const found = Array.from({ length: patches }, (_, i) => mean(masked.map(({ mask }) => mask[i])));
      const errors = found.map((share, i) => Math.abs(share - wanted[i]));
      const scale = Math.max(1, Math.sqrt(5000 / values('counts').length));
      expect(Math.max(...errors)).toBeLessThan(0.04 * scale);
      expect(mean(errors)).toBeLessThan(0.01 * scale);
    });

    it('shuffles the masks over the views', () => {
      for (let row = 0; row < rows; row++) {
        const share = mean(batches.map(({ targets }) => Number(targets[row] > 0)));
        expect(Math.abs(share - masked.filter(({ target }) => target > 0).length / (steps * rows))).toBeLessThan(
          5 * Math.sqrt(0.25 / p.batches),
        );
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
      const variance = Math.max(missed, 4 / masks.length) * (1 - missed);
      expect(Math.abs(missed - expected.fraction_target_not_reached)).toBeLessThan(
        4 * Math.sqrt((2 * variance) / masks.length),
      );
    });

    it('first blocks', () => {
      const sizes = values('first_block_hw');
      // The fixture's own words for the range, which need not be that of the masks.
      const meaning: string = fixture.json['tensors']?.first_block_hw?.meaning ?? '';
      const range = /U\(([\d.]+), ?([\d.]+)\)/.exec(meaning)?.slice(1).map(Number) ?? p.mask_ratio;
      const first: MaskBlock[] = [];
      while (first.length < sizes.length / 2) {
        const target = Math.trunc(patches * rng.uniform(range[0], range[1]));
        first.push(...drawBlockMask(rng, target, shape).blocks.slice(0, 1));
      }
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
