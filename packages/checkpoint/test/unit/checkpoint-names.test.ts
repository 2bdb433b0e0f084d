import { propertyOptions } from '@selfsup/test-kit';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { normalizeCheckpointNames } from '../../src/index.js';

const one = (name: string): string => normalizeCheckpointNames([name]).names[name];

describe('normalizeCheckpointNames', () => {
  test.each([
    ['blocks.3.attn.qkv.weight', 'blocks.3.attn.qkv.weight'],
    ['module.backbone.cls_token', 'cls_token'],
    ['_orig_mod.module.backbone.blocks.0.norm1.bias', 'blocks.0.norm1.bias'],
    ['module._orig_mod.backbone.pos_embed', 'pos_embed'],
    ['backbone._orig_mod.norm.weight', 'norm.weight'],
    ['teacher.backbone.blocks.2.7.ls1.gamma', 'blocks.7.ls1.gamma'],
    ['model.blocks.1.9.mlp.fc1.weight', 'blocks.9.mlp.fc1.weight'],
  ])('%s is %s', (name, bare) => expect(one(name)).toBe(bare));

  test('of a whole training state the teacher backbone is kept', () => {
    const names = [
      'teacher.backbone.norm.weight',
      'teacher.dino_head.mlp.0.bias',
      'teacher.ibot_head.x',
      'student.module.backbone.norm.weight',
      'step',
    ];
    expect(normalizeCheckpointNames(names)).toEqual({
      names: { 'teacher.backbone.norm.weight': 'norm.weight' },
      dropped: ['teacher.dino_head.mlp.0.bias', 'teacher.ibot_head.x', 'student.module.backbone.norm.weight', 'step'],
    });
    expect(normalizeCheckpointNames(names, { from: 'student' }).names).toEqual({
      'student.module.backbone.norm.weight': 'norm.weight',
    });
  });

  test('heads go, wrapped or not', () => {
    expect(normalizeCheckpointNames(['norm.weight', 'head.weight', 'module.head.last_layer.weight_g']).dropped).toEqual(
      ['head.weight', 'module.head.last_layer.weight_g'],
    );
  });

  test('two names that become the same, and nothing left, are errors', () => {
    expect(() => normalizeCheckpointNames(['norm.weight', 'module.norm.weight'])).toThrow(
      /norm.weight and module.norm.weight, which both are norm.weight/,
    );
    expect(() => normalizeCheckpointNames(['head.weight'])).toThrow(/expected backbone parameters/);
    expect(() => normalizeCheckpointNames(['a.b'], { from: 'teacher' })).toThrow(/begin with "teacher\."/);
  });

  test('normal names stay normal, whatever stood before them; chunking is undone', () => {
    const bare = fc.oneof(
      fc.constantFrom('cls_token', 'pos_embed', 'patch_embed.proj.weight', 'norm.bias', 'mask_token'),
      fc
        .tuple(fc.nat(39), fc.constantFrom('norm1.weight', 'attn.qkv.bias', 'mlp.w12.weight'))
        .map(([i, rest]) => `blocks.${i}.${rest}`),
    );
    const wrap = fc.constantFrom(
      '',
      'module.',
      '_orig_mod.',
      'backbone.',
      'module.backbone.',
      '_orig_mod.module.backbone.',
    );
    fc.assert(
      fc.property(bare, wrap, fc.nat(3), (name, prefix, chunk) => {
        expect(one(prefix + name)).toBe(name);
        expect(one(prefix + name.replace(/^blocks\./, `blocks.${chunk}.`))).toBe(name);
      }),
      propertyOptions(200),
    );
  });
});
