import { describe, expect, it } from 'vitest';
import { resolveConfig } from '../../src/index.js';

/** What the papers and the authors' commands say, a row for every preset that carries their name. */
const PUBLISHED: readonly (readonly [recipe: string, preset: string, facts: Readonly<Record<string, unknown>>])[] = [
  [
    'simdino',
    'imagenet-vitb16',
    {
      arch: 'vit_base',
      images: 512,
      groups: 8,
      epochs: 100,
      rate: 5e-4,
      locals: 10,
      momentum: 0.996,
      clip: 3,
      dropPath: 0.1,
      local: [0.05, 0.4],
      global: [0.4, 1],
    },
  ],
  [
    'dino',
    'imagenet-vits16',
    {
      arch: 'vit_small',
      images: 512,
      groups: 8,
      epochs: 100,
      rate: 5e-4,
      locals: 8,
      momentum: 0.996,
      clip: 3,
      dropPath: 0.1,
      local: [0.05, 0.4],
      global: [0.4, 1],
    },
  ],
  [
    'dino',
    'imagenet-vitb16',
    {
      arch: 'vit_base',
      images: 1024,
      groups: 32,
      epochs: 400,
      rate: 7.5e-4,
      locals: 10,
      momentum: 0.996,
      clip: 0.3,
      dropPath: 0.1,
      local: [0.05, 0.25],
      global: [0.25, 1],
    },
  ],
  [
    'dinov2',
    'imagenet-vitl16-short',
    {
      arch: 'vit_large',
      images: 2048,
      groups: 32,
      epochs: 100,
      rate: 4e-3,
      locals: 8,
      momentum: 0.992,
      clip: 3,
      dropPath: 0.3,
      local: [0.05, 0.32],
      global: [0.32, 1],
    },
  ],
  [
    'dinov2',
    'imagenet22k-vitl14',
    {
      arch: 'vit_large',
      images: 3072,
      epochs: 500,
      rate: 2e-4,
      locals: 8,
      momentum: 0.994,
      clip: 3,
      dropPath: 0.4,
      local: [0.05, 0.32],
      global: [0.32, 1],
    },
  ],
  [
    'dinov2',
    'imagenet22k-vitg14',
    {
      images: 3072,
      epochs: 500,
      rate: 2e-4,
      locals: 8,
      momentum: 0.994,
      clip: 3,
      dropPath: 0.4,
      local: [0.05, 0.32],
      global: [0.32, 1],
    },
  ],
  [
    'simdinov2',
    'imagenet-vitl16',
    {
      arch: 'vit_large',
      images: 1024,
      groups: 8,
      epochs: 100,
      rate: 4e-3,
      locals: 10,
      momentum: 0.9,
      clip: 3,
      dropPath: 0.2,
      local: [0.05, 0.4],
      global: [0.4, 1],
    },
  ],
];

describe('published presets', () => {
  it.each(PUBLISHED)('%s %s is the run of its name', (recipe, preset, facts) => {
    const { config } = resolveConfig({ recipe, preset });
    const { length, optimizer, teacher, crops, backbone } = config;
    const found: Record<string, unknown> = {
      arch: config.arch,
      images: config.batchSize,
      groups: config.groups,
      epochs: length.epochs,
      rate: optimizer.learningRate,
      clip: optimizer.clipNorm,
      momentum: 'momentum' in teacher ? teacher.momentum : undefined,
      dropPath: backbone.dropPathRate,
      locals: crops.local.count,
      local: crops.local.scale,
      global: crops.global.scale,
    };
    expect(Object.fromEntries(Object.keys(facts).map((key) => [key, found[key]]))).toEqual(facts);
  });
});

describe('settings that make no sense', () => {
  it.each([
    [{ batchSize: 'x' }, 'batchSize of type number'],
    [{ batchSize: 0 }, 'batchSize as a whole number'],
    [{ optimizer: { learningRate: 'abc' } }, 'optimizer.learningRate of type number'],
    [{ optimizer: { learningRate: NaN } }, 'optimizer.learningRate as a number'],
    [{ optimizer: { weightDecay: -1 } }, 'optimizer.weightDecay as a number'],
    [{ teacher: { momentum: 1.5 } }, 'teacher.momentum in 0..1'],
    [{ log: { everySteps: 0 } }, 'log.everySteps as a whole number'],
    [{ log: { checkpointEverySteps: 0 } }, 'log.checkpointEverySteps as a whole number'],
    [{ maxBadFraction: 2 }, 'maxBadFraction in 0..1'],
    [{ seed: 1e30 }, 'seed as a whole number'],
    [{ crops: { local: { count: -1 } } }, 'local.count'],
    [{ crops: { global: { views: [{ blurProbabilty: 1 }, {}] } } }, 'blurProbability'],
    [{ crops: { local: { view: { hueue: 0.1 } } } }, 'crops.local.view.hue'],
    [{ length: { steps: 2.5 } }, 'length.steps as a whole number'],
    [{ length: { warmupSteps: -1 } }, 'length.warmupSteps as a whole number'],
    [{ length: { epochs: 0 } }, 'length.epochs as a number above 0'],
    [{ head: { layers: 0 } }, 'head.layers as a whole number'],
    [{ head: { width: 1.5 } }, 'head.width as a whole number'],
    [{ optimizer: { beta1: 1 } }, 'optimizer.beta1 in 0..1, below 1'],
    [{ optimizer: { rule: 'linear' } }, 'optimizer.rule as one of linear-per-256'],
    [{ loss: { compressionWeight: -1 } }, 'loss.compressionWeight as a number'],
    [{ loss: { codingRateEps: 0 } }, 'loss.codingRateEps as a number above 0'],
    [{ patchHead: { width: 3 } }, 'a known key under'],
    [{ crops: { global: { scale: [0, 0] } } }, 'scale'],
    [JSON.parse('{"__proto__":{"x":5}}') as Record<string, unknown>, 'a known key'],
    [{ crops: { global: 3 } }, 'crops.global of type object'],
  ])('%j is refused', (override, expected) => {
    expect(() => resolveConfig({ recipe: 'simdino', preset: 'demo', overrides: [override] })).toThrow(
      expect.objectContaining({ code: 'BAD_OPTION', message: expect.stringContaining(expected) as string }) as Error,
    );
  });

  it('takes a number or a word for gamma, and lists of another length', () => {
    const overrides = [{ loss: { gamma: 0.1 } }, { loss: { gamma: 'theory' } }];
    expect(resolveConfig({ recipe: 'simdino', preset: 'demo', overrides }).config.loss).toMatchObject({
      gamma: 'theory',
    });
  });
});
