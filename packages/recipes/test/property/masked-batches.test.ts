import { drawBlockMasks } from '@selfsup/augment-multicrop';
import { propertyOptions } from '@selfsup/test-kit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { recipeOf, type RecipeConfig, resolveConfig, type SecondGenerationConfig } from '../../src/index.js';
import { blockMaskOptions, maskArrays, maskedCapacity } from '../../src/second-generation/masked-rows.js';
import { takeImages } from '../../src/training/image-rows.js';
import { imagesOfParts } from '../../src/second-generation/parts.js';
import { partSubsets, subsetSpecs } from '../../src/second-generation/subsets.js';

/** Batches of several groups, and parts that cut them or not. */
const layouts = fc
  .record({
    groups: fc.integer({ min: 1, max: 3 }),
    groupSize: fc.integer({ min: 2, max: 6 }),
    parts: fc.integer({ min: 1, max: 6 }),
    ratio: fc
      .tuple(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 100 }))
      .map((ends) => ends.map((share) => share / 100).sort((a, b) => a - b)),
    probability: fc.constantFrom(0, 0.3, 0.5, 1),
    patchSize: fc.constantFrom(2, 4, 8),
    dropPathRate: fc.double({ min: 0.05, max: 0.9, noNaN: true }),
    seed: fc.nat(),
    step: fc.nat(1000),
  })
  .filter(({ groups, groupSize, parts }) => (groups * groupSize) % parts === 0);

type Layout = typeof layouts extends fc.Arbitrary<infer T> ? T : never;

function configOf({
  groups,
  groupSize,
  ratio,
  probability,
  patchSize,
  dropPathRate,
  seed,
}: Layout): SecondGenerationConfig {
  const { config } = resolveConfig({
    recipe: 'simdinov2',
    preset: 'cifar-tiny',
    overrides: [
      {
        batchSize: groups * groupSize,
        groups,
        seed,
        masks: { ratio, probability },
        backbone: { patchSize, width: 8, heads: 1, depth: 2, dropPathRate },
        head: { hiddenWidth: 8, width: 4 },
      },
    ],
  });
  return config as SecondGenerationConfig;
}

describe('batches of masked patches', () => {
  it('fit the shapes of the compiled step, whatever is drawn', () => {
    fc.assert(
      fc.property(layouts, (layout) => {
        const recipe = recipeOf(configOf(layout) as RecipeConfig);
        const drawn = recipe.draw(layout.step);
        for (const [name, data] of Object.entries(drawn))
          expect(data.length, name).toBe(recipe.batch[name].shape.reduce((a, b) => a * b, 1));
      }),
      propertyOptions(),
    );
  });

  it('give every masked patch one row that leads back to it', () => {
    fc.assert(
      fc.property(layouts, (layout) => {
        const config = configOf(layout);
        const { masks } = drawBlockMasks(blockMaskOptions(config), { seed: layout.seed, step: layout.step });
        const arrays = maskArrays(config, masks, config.batchSize, config.groups);
        const weights = arrays['patches.weights'];
        masks.forEach((masked, place) => {
          const row = arrays['patches.positions'][place];
          if (masked === 0) return;
          expect(arrays['patches.indices'][row]).toBe(place);
          expect(weights[row]).toBeGreaterThan(0);
        });
        expect(weights.filter((w) => w > 0).length).toBe(masks.reduce((a, b) => a + b, 0));
      }),
      propertyOptions(),
    );
  });

  it('leave room for the masks of any part', () => {
    fc.assert(
      fc.property(layouts, (layout) => {
        const config = configOf(layout);
        const images = config.batchSize / layout.parts;
        const { masks } = drawBlockMasks(blockMaskOptions(config), { seed: layout.seed, step: layout.step });
        const parts = imagesOfParts({ ...config, accumulate: layout.parts }, masks);
        expect(parts.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: config.batchSize }, (_, i) => i));
        for (const part of parts) {
          expect(part).toHaveLength(images);
          const count = Array.from(takeImages(masks, 2, config.batchSize, part)).reduce((a, b) => a + b, 0);
          expect(count).toBeLessThanOrEqual(maskedCapacity(config, images));
          expect(maskedCapacity(config, images)).toBeLessThanOrEqual(maskedCapacity(config, config.batchSize));
        }
      }),
      propertyOptions(),
    );
  });

  it('split subsets of stochastic depth into parts that add up to the whole', () => {
    fc.assert(
      fc.property(layouts, (layout) => {
        const config = configOf(layout);
        const { networks, draw } = recipeOf(config);
        const backbone = networks.backbone.config;
        const whole = draw(layout.step);
        const images = config.batchSize / layout.parts;
        const found: Record<string, number[]> = {};
        for (const part of imagesOfParts({ ...config, accumulate: layout.parts }, whole['masks'])) {
          const arrays = partSubsets(config, backbone, whole, part);
          for (const name of Object.keys(subsetSpecs(config, backbone, config.batchSize))) {
            const rows = arrays[name];
            const scale = arrays[name.replace('subset.', 'subsetScale.')];
            const size = rows.length / 2;
            rows.forEach((row, i) => {
              if (scale[i] === 0) return;
              const joint = Math.floor(row / images) * config.batchSize + part[row % images];
              (found[`${name}/${Math.floor(i / size)}`] ??= []).push(joint);
            });
          }
        }
        for (const [key, rows] of Object.entries(found)) {
          const [name, branch] = key.split('/');
          const all = whole[name];
          const half = all.length / 2;
          expect([...rows].sort((a, b) => a - b)).toEqual(
            Array.from(all.subarray(Number(branch) * half, (Number(branch) + 1) * half)).sort((a, b) => a - b),
          );
        }
        expect(Object.keys(found).length).toBeGreaterThan(0);
      }),
      propertyOptions(),
    );
  });
});
