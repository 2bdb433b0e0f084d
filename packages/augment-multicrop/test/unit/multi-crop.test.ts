import { SslError } from '@selfsup/core';
import { describe, expect, it } from 'vitest';
import { allocateCrops, MULTI_CROP_PRESETS, multiCrop, multiCropConfig, resizedCrop } from '../../src/index.js';
import { drawView } from '../../src/draw-view.js';
import { resolveViews } from '../../src/config.js';
import { sha256, testImage } from '../helpers.js';

const key = { seed: 7, epoch: 1, sample: 42 };

describe('MULTI_CROP_PRESETS', () => {
  // Section 5.1 of the methods: local views and scales, then blur of first, second and local views.
  it.each([
    ['dino', 8, [0.4, 1], [0.05, 0.4], [1, 0.1, 0.5], 'pillow'],
    ['simdino', 8, [0.4, 1], [0.05, 0.4], [1, 0.1, 0.5], 'pillow'],
    ['dinov2', 8, [0.32, 1], [0.05, 0.32], [0, 0.9, 0.5], 'torchvision'],
    ['simdinov2', 10, [0.4, 1], [0.05, 0.4], [1, 0.1, 0.5], 'torchvision'],
  ] as const)('%s', (name, count, globalScale, localScale, blur, kernel) => {
    const { global, local } = resolveViews(MULTI_CROP_PRESETS[name]);
    expect([global.length, local.length]).toEqual([2, count]);
    expect([global[0].scale, local[0].scale]).toEqual([globalScale, localScale]);
    expect([global[0].size, global[1].size, local[0].size]).toEqual([224, 224, 96]);
    expect([global[0], global[1], local[0]].map((view) => view.blurProbability)).toEqual(blur);
    expect([global[0], global[1], local[0]].map((view) => view.solarizeProbability)).toEqual([0, 0.2, 0]);
    for (const view of [...global, ...local]) {
      expect(view).toMatchObject({
        blurKernel: kernel,
        flipProbability: 0.5,
        jitterProbability: 0.8,
        grayscaleProbability: 0.2,
        solarizeThreshold: 128,
        interpolation: 'bicubic',
      });
    }
  });
});

describe('multiCropConfig', () => {
  it('merges by name', () => {
    const config = multiCropConfig('dinov2', {
      global: { size: 32 },
      local: { count: 2, view: { flipProbability: 0 } },
    });
    expect(config.global).toEqual({ ...MULTI_CROP_PRESETS.dinov2.global, size: 32 });
    expect(config.local).toEqual({ ...MULTI_CROP_PRESETS.dinov2.local, count: 2, view: { flipProbability: 0 } });
  });

  it('turns an operation down in every view', () => {
    const { global, local } = resolveViews(multiCropConfig('dino', { view: { blurProbability: 0.25 } }));
    for (const view of [...global, ...local]) expect(view.blurProbability).toBe(0.25);
    expect(global[1].solarizeProbability).toBe(0.2);
  });

  it.each([
    [{ view: { blurProbabilty: 0 } }, 'did you mean "blurProbability"'],
    [{ local: { counts: 2 } }, 'did you mean "count"'],
    [{ locals: {} }, 'did you mean "local"'],
    [{ global: { views: [{ flipProbabilty: 1 }] } }, 'did you mean "flipProbability"'],
    [{ view: { flipProbability: 1.5 } }, 'set global.views[0].flipProbability to a number in 0..1'],
    [
      { local: { count: -1 } },
      'expected local.count to be an integer of at least 0, got -1. Fix: set local.count to an integer of at least 0.',
    ],
    [{ local: { size: 0 } }, 'set local.size to an integer of at least 1'],
    [
      { global: { scale: [0.5, 0.4] } },
      'set global.views[0].scale to an interval [low, high] with low <= high above 0',
    ],
    [{ global: { views: [] } }, 'set global.views.length to an integer of at least 1'],
    [{ view: { ratio: [0, 1] } }, 'ratio to an interval'],
    [{ view: { hue: 0.6 } }, 'hue to a number in 0..0.5'],
    [{ view: { blurKernel: 'pilow' } }, 'did you mean "pillow"'],
    [{ view: { interpolation: 'lanczos' } }, 'bilinear'],
    [{ view: { brightness: Number.NaN } }, 'brightness to a number of at least 0'],
  ])('refuses %j', (changes, fix) => {
    const refuse = (): unknown => multiCropConfig('dino', changes as never);
    expect(refuse).toThrow(SslError);
    expect(refuse).toThrow(fix);
    expect(refuse).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }));
  });

  it('suggests the nearest preset', () => {
    expect(() => multiCropConfig('simdno' as never)).toThrow('did you mean "simdino"');
  });
});

describe('multiCrop', () => {
  it('gives the views in order with their sizes', () => {
    const config = multiCropConfig('simdino', { global: { size: 32 }, local: { size: 16, count: 3 } });
    const { global, local } = multiCrop(testImage(60, 40), config, key);
    expect(global.map((view) => view.length)).toEqual([32 * 32 * 3, 32 * 32 * 3]);
    expect(local.map((view) => view.length)).toEqual(Array(3).fill(16 * 16 * 3));
  });

  it('is the resized crop when everything else is off', () => {
    const off = multiCropConfig('dino', {
      view: {
        flipProbability: 0,
        jitterProbability: 0,
        grayscaleProbability: 0,
        blurProbability: 0,
        solarizeProbability: 0,
      },
      global: { size: 40 },
      local: { size: 20, count: 2 },
    });
    const image = testImage(90, 70);
    const crops = multiCrop(image, off, key);
    const views = resolveViews(off);
    for (const kind of ['global', 'local'] as const) {
      crops[kind].forEach((view, i) => {
        const { box } = drawView(views[kind][i], kind, i, key, 90, 70);
        expect(view).toEqual(resizedCrop(image, box, views[kind][i].size).data);
      });
    }
  });

  it('keeps a view when other views or other operations change', () => {
    const image = testImage(64, 48);
    const base = multiCropConfig('simdino', { global: { size: 24 }, local: { size: 12, count: 2 } });
    const more = multiCropConfig(base, { local: { count: 5 }, global: { views: [...base.global.views, {}] } });
    const [a, b] = [multiCrop(image, base, key), multiCrop(image, more, key)];
    expect(b.global.slice(0, 2)).toEqual(a.global);
    expect(b.local.slice(0, 2)).toEqual(a.local);
    const views = resolveViews(multiCropConfig(base, { view: { grayscaleProbability: 1, jitterProbability: 0 } }));
    const [changed, same] = [views, resolveViews(base)].map(({ global }) =>
      drawView(global[0], 'global', 0, key, 64, 48),
    );
    expect(changed).toEqual({ ...same, grayscale: true, jitter: [] });
  });

  it('refuses a key out of range and pictures that are not RGB', () => {
    const image = testImage(8, 8);
    const config = MULTI_CROP_PRESETS.dino;
    for (const bad of [{ seed: 0.5 }, { epoch: -1 }, { sample: 2 ** 32 }]) {
      expect(() => multiCrop(image, config, { ...key, ...bad })).toThrow(
        expect.objectContaining({ code: 'BAD_OPTION' }),
      );
    }
    expect(() => multiCrop({ ...image, width: 9 }, config, key)).toThrow(
      expect.objectContaining({ code: 'SHAPE_MISMATCH', message: expect.stringContaining('8-bit RGB') }),
    );
    expect(() => allocateCrops(config, 0)).toThrow('set images to an integer of at least 1');
  });

  // A patch release may not change what a seed gives.
  it.each([
    {
      preset: 'simdino',
      changes: { global: { size: 64 }, local: { size: 32, count: 4 } },
      hashes: ['41672e8f943530e8', '26288c3b104af539', '3e19aa658b72f47d'],
    },
    {
      preset: 'dinov2',
      changes: { global: { size: 56 }, local: { size: 28, count: 3 } },
      hashes: ['ed90d1d0c6a48e12', '60f1f70cdcd0da8d', '90f0494832ed76f8'],
    },
    {
      preset: 'dino',
      changes: { view: { interpolation: 'bilinear' }, global: { size: 33 }, local: { size: 17, count: 2 } },
      hashes: ['154eac155044774f', '93417b2e9f3fc119', '4e323a91a045406e'],
    },
  ] as const)('gives the recorded bytes: $preset', ({ preset, changes, hashes }) => {
    const config = multiCropConfig(preset, changes);
    const image = testImage(150, 111);
    const found = hashes.map((_, sample) => {
      const { global, local } = multiCrop(image, config, { seed: 2026, epoch: 3, sample });
      return sha256(Buffer.concat([...global, ...local])).slice(0, 16);
    });
    expect(found).toEqual(hashes);
  });
});
