import type { Dataset } from '@selfsup/datasets';
import { RECIPES } from '@selfsup/recipes';
import { describe, expect, it } from 'vitest';
import { type CardFacts, makeCard, verdict } from '../../src/repro/card.js';
import { deviationsOf } from '../../src/repro/deviations.js';

const preset = RECIPES['simdino'].presets['imagenet-vitb16'];

const part = (size: number): Dataset => ({ kind: 'folder', size }) as Dataset;
const data = (classes: number, train: number, test: number) => ({
  train: part(train),
  test: part(test),
  classes: Array.from({ length: classes }, String),
});
const IMAGENET = data(1000, 1_281_167, 50_000);

const facts = (deviations: CardFacts['deviations'], top1 = 74.5): CardFacts => ({
  preset: 'simdino/imagenet-vitb16',
  source: preset.source,
  deviations,
  results: {
    steps: 1,
    loss: -1,
    knn: { k: 20, top1, top5: 90, byK: {} },
    pictures: { train: 1, test: 1, unreadable: 0 },
  },
  published: preset.published,
  settings: {},
  environment: {},
  hashes: {},
  curves: [],
});

describe('deviations', () => {
  it('are none for the preset itself on ImageNet, whatever its seed, log and parts', () => {
    const { config } = preset;
    const other = { ...config, seed: 7, accumulate: 4, log: { ...config.log, everySteps: 1 } };
    expect(deviationsOf(preset, other, IMAGENET, { precision: 'f32' })).toEqual([]);
  });

  it('name data, settings and precision', () => {
    const shorter = { ...preset.config, length: { steps: 30, warmupEpochs: 10 } };
    const found = deviationsOf(preset, shorter, data(10, 10_000, 2000), { precision: 'bf16' });
    expect(found.map(({ what }) => what)).toEqual(['data', 'length.epochs', 'length.steps', 'precision']);
    expect(found[0].here).toBe('10000 pictures of 10 classes, 2000 held out');
  });
});

describe('deviations on the way', () => {
  it('are start weights, and settings of a stretch before the run was resumed', () => {
    const changes = [
      { untilStep: 40, settings: { precision: 'bf16', 'optimizer.learningRate': '0.1', seed: '3' } },
      { untilStep: 90, settings: { 'optimizer.learningRate': String(preset.config.optimizer.learningRate) } },
    ];
    const resolved = { init: '/weights', initPart: 'backbone', changes };
    const found = deviationsOf(preset, preset.config, IMAGENET, resolved);
    expect(found.map(({ what, here }) => [what, here])).toEqual([
      ['start weights', 'backbone of /weights'],
      ['precision up to step 40', 'bf16'],
      ['optimizer.learningRate up to step 40', '0.1'],
    ]);
  });
});

describe('a card', () => {
  it('compares a run without deviations', () => {
    const card = makeCard(facts([]));
    expect(card).toMatchObject({ comparable: true, difference: expect.closeTo(-0.4, 6) });
    expect(verdict(card)).toMatch(/0\.40 points below the published 74\.9 %/);
  });

  it('compares nothing else, and says so loudly', () => {
    const card = makeCard(facts([{ what: 'length.steps', preset: 'not set', here: '30' }]));
    expect(card).toMatchObject({ comparable: false, difference: undefined });
    expect(verdict(card)).toMatch(/^NOT A REPRODUCTION: 1 deviation/);
  });
});
