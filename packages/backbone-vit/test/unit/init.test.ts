import { vit, vitConfig } from '@selfsup/backbone-vit';
import { Rng, type HostTensor } from '@selfsup/core';
import { describe, expect, it } from 'vitest';

const small = { width: 48, depth: 2, heads: 3, imageSize: 32, patchSize: 8 } as const;
const v1 = vitConfig('vit_tiny', small);
const v2 = vitConfig('vit_tiny', { ...small, flavour: 'simdinov2' });
const at = (seed: number): Rng => Rng.of(seed, 'init');

function moments(tensor: HostTensor): { mean: number; std: number; largest: number } {
  const data = Array.from(tensor.data);
  const mean = data.reduce((sum, x) => sum + x, 0) / data.length;
  const std = Math.sqrt(data.reduce((sum, x) => sum + (x - mean) ** 2, 0) / data.length);
  return { mean, std, largest: data.reduce((m, x) => Math.max(m, Math.abs(x)), 0) };
}

describe('initial parameters', () => {
  const first = vit(v1).init(at(1));
  const second = vit(v2).init(at(1));

  it('have the shapes of the specs', () => {
    for (const [config, params] of [
      [v1, first],
      [v2, second],
    ] as const) {
      const specs = vit(config).parameterSpecs();
      expect(Object.keys(params)).toEqual(Object.keys(specs));
      for (const [name, { shape, dtype }] of Object.entries(params)) expect({ shape, dtype }).toEqual(specs[name]);
    }
  });

  it('follow the published table', () => {
    for (const [name, tensor] of Object.entries(second)) {
      const { mean, std, largest } = moments(tensor);
      const n = tensor.data.length;
      const near = (expected: number): void => {
        expect(Math.abs(mean), name).toBeLessThan((4.5 * expected) / Math.sqrt(n));
        expect(Math.abs(std / expected - 1), name).toBeLessThan(4.5 / Math.sqrt(2 * n));
      };
      if (/gamma$/.test(name)) expect([mean, std]).toEqual([Math.fround(0.1), 0]);
      else if (/^patch_embed/.test(name)) {
        const bound = 1 / Math.sqrt(3 * 8 * 8);
        expect(largest).toBeLessThanOrEqual(bound);
        near(bound / Math.sqrt(3));
      } else if (/norm\d?\.weight$/.test(name)) expect([mean, std]).toEqual([1, 0]);
      else if (/bias$|mask_token/.test(name)) expect(largest, name).toBe(0);
      else if (/cls_token|register/.test(name)) near(1e-6);
      else near(0.02);
    }
    expect(moments(first.cls_token).std).toBeGreaterThan(0.01);
    expect(vit(vitConfig('vit_tiny', small)).init(at(1)).pos_embed.shape).toEqual([1, 17, 48]);
  });

  it('do not depend on which other parameters there are', () => {
    const more = vit({ ...v1, registers: 4, maskToken: true, depth: 3, qkvBias: false }).init(at(1));
    for (const name of ['pos_embed', 'cls_token', 'blocks.1.attn.qkv.weight', 'patch_embed.proj.weight']) {
      expect(more[name].data, name).toEqual(first[name].data);
    }
  });

  it('differ between parameters and seeds', () => {
    expect(first['blocks.0.attn.proj.weight'].data).not.toEqual(first['blocks.1.attn.proj.weight'].data);
    expect(vit(v1).init(at(2)).pos_embed.data).not.toEqual(first.pos_embed.data);
  });

  it('stay the same from release to release', () => {
    expect(Array.from(first.pos_embed.data.subarray(0, 3))).toMatchInlineSnapshot(`
      [
        0.03978041931986809,
        0.025991488248109818,
        -0.0126291923224926,
      ]
    `);
    expect(Array.from(first['blocks.1.mlp.fc1.weight'].data.subarray(0, 3))).toMatchInlineSnapshot(`
      [
        -0.03355605527758598,
        0.005589664913713932,
        0.012302563525736332,
      ]
    `);
  });
});
