import { VIT_ARCHITECTURES, VIT_FLAVOURS, vit, vitConfig, type VitOverrides } from '@selfsup/backbone-vit';
import { sizeOf, SslError } from '@selfsup/core';
import { describe, expect, it } from 'vitest';

const countOf = (architecture: string, overrides: VitOverrides): number =>
  Object.values(vit(vitConfig(architecture, overrides)).parameterSpecs()).reduce(
    (n, { shape }) => n + sizeOf(shape),
    0,
  );

function errorOf(f: () => unknown): SslError {
  try {
    f();
  } catch (error) {
    if (SslError.is(error)) return error;
    throw error;
  }
  throw new Error('did not throw');
}

describe('parameter counts', () => {
  const released = { patchSize: 14, imageSize: 518 };
  it.each<[string, VitOverrides, number]>([
    ['vit_tiny', {}, 5_524_416],
    ['vit_small', {}, 21_665_664],
    ['vit_base', {}, 85_798_656],
    ['vit_small', { patchSize: 8 }, 21_670_272],
    ['vit_base', { patchSize: 8 }, 85_807_872],
    ['vit_small', { flavour: 'dinov2' }, 21_675_264],
    ['vit_small', { flavour: 'dinov2-registers' }, 21_676_800],
    ['vit_base', { flavour: 'dinov2' }, 85_817_856],
    ['vit_base', { flavour: 'simdinov2' }, 85_820_928],
    ['vit_large', { flavour: 'dinov2' }, 303_351_808],
    ['vit_large', { flavour: 'dinov2-registers' }, 303_355_904],
    ['vit_small', { flavour: 'dinov2', ...released }, 22_056_576],
    ['vit_base', { flavour: 'dinov2', ...released }, 86_580_480],
    ['vit_large', { flavour: 'dinov2', ...released }, 304_368_640],
    ['vit_giant2', { flavour: 'dinov2', ...released }, 1_136_480_768],
  ])('%s %o', (architecture, overrides, count) => {
    expect(countOf(architecture, overrides)).toBe(count);
  });

  it.each([
    [1024, 2736],
    [768, 2048],
    [384, 1024],
    [1536, 4096],
  ])('SwiGLU of width %i has the published hidden size %i', (width, hidden) => {
    const specs = vit(vitConfig('vit_small', { width, heads: width / 64, depth: 1, ffn: 'swiglu' })).parameterSpecs();
    expect(specs['blocks.0.mlp.w12.weight'].shape).toEqual([2 * hidden, width]);
    expect(specs['blocks.0.mlp.w3.weight'].shape).toEqual([width, hidden]);
  });

  it('truncates the hidden size of the shape-optimised sizes', () => {
    const specs = vit(vitConfig('vit_so400m', { flavour: 'simdinov2' })).parameterSpecs();
    expect(specs['blocks.26.mlp.fc1.weight'].shape).toEqual([4304, 1152]);
  });
});

describe('vitConfig', () => {
  it('makes every architecture in every flavour', () => {
    for (const architecture of Object.keys(VIT_ARCHITECTURES)) {
      for (const flavour of Object.keys(VIT_FLAVOURS) as (keyof typeof VIT_FLAVOURS)[]) {
        expect(countOf(architecture, { flavour })).toBeGreaterThan(0);
      }
    }
  });

  it('survives being stored as JSON', () => {
    const config = vitConfig('vit_small', { flavour: 'dino' });
    const stored = JSON.parse(JSON.stringify(config)) as typeof config;
    expect(vit(stored).parameterSpecs()).toEqual(vit(config).parameterSpecs());
  });

  it('lets an override win over the flavour and the architecture', () => {
    const config = vitConfig('vit_giant2', { flavour: 'simdinov2', layerScale: undefined, ffn: 'mlp', channels: 5 });
    expect(config).toMatchObject({ layerScale: undefined, ffn: 'mlp', channels: 5, registers: 4, width: 1536 });
    expect(vit(config).parameterSpecs()['patch_embed.proj.weight'].shape).toEqual([1536, 5, 16, 16]);
  });

  it('has neither bias nor LayerScale nor mask token where they are off', () => {
    const names = Object.keys(vit(vitConfig('vit_tiny', { qkvBias: false })).parameterSpecs());
    expect(names.filter((name) => /qkv\.bias|gamma|mask|register/.test(name))).toEqual([]);
  });

  it('suggests the nearest name', () => {
    const unknown = errorOf(() => vitConfig('vit_smal'));
    expect(unknown.code).toBe('UNKNOWN_NAME');
    expect(unknown.message).toContain('did you mean "vit_small"');
    const flavour = errorOf(() => vitConfig('vit_small', { flavour: 'dinov3' as 'dinov2' }));
    expect(flavour.code).toBe('UNKNOWN_NAME');
    expect(flavour.message).toMatch(/did you mean "dinov2"/);
    const option = errorOf(() => vitConfig('vit_small', { patchsize: 8 } as VitOverrides));
    expect(option.code).toBe('BAD_OPTION');
    expect(option.message).toContain('did you mean "patchSize"');
  });

  it.each<[VitOverrides, RegExp]>([
    [{ heads: 5 }, /width divisible by heads = 5, got 384\. Fix: use 1, 2, 3, 4, 6, 8 heads, or a width such as 385/],
    [{ depth: 0 }, /depth a positive integer/],
    [{ channels: 1.5 }, /channels a positive integer/],
    [{ patchSize: NaN }, /patchSize a positive integer/],
    [{ imageSize: 8 }, /imageSize of at least one patch of 16/],
    [{ flavour: 'dinov2', imageSize: 96, patchSize: 14 }, /a multiple of patchSize = 14, got 96\. Fix: use 98/],
    [{ registers: -1 }, /registers an integer >= 0/],
    [{ dropPathRate: 1 }, /dropPathRate in \[0, 1\)/],
    [{ mlpRatio: 0 }, /mlpRatio/],
    [{ layerNormEps: 0 }, /layerNormEps > 0/],
    [{ clsStd: -1 }, /clsStd >= 0/],
    [{ layerScale: NaN }, /layerScale undefined or a finite number/],
    [{ interpolation: { offset: -0.1, antialias: false } }, /interpolation offset >= 0/],
    [{ ffn: 'glu' as 'swiglu' }, /ffn one of mlp, swiglu/],
    [{ remainder: 'pad' as 'drop' }, /remainder one of drop, error/],
    [{ dropPathRows: 'some' as 'all' }, /dropPathRows one of chosen, all/],
    [{ dropPathRule: 'cosine' as 'linear' }, /dropPathRule one of uniform, linear/],
  ])('refuses %o', (overrides, message) => {
    const error = errorOf(() => vitConfig('vit_small', overrides));
    expect(error.code).toBe('BAD_OPTION');
    expect(error.message).toMatch(message);
    const { flavour, ...fields } = overrides;
    const config = { ...vitConfig('vit_small', flavour ? { flavour } : {}), ...fields };
    expect(errorOf(() => vit(config)).message).toMatch(/^backbone-vit\.vit: /);
  });
});
