import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRun, writeSafetensors } from '@selfsup/checkpoint';
import { SslError, type HostTensor } from '@selfsup/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { initialWeights, recipeOf, resolveConfig, type Overrides, type Recipe } from '../../src/index.js';

const tiny = (changes: Overrides = {}): Recipe =>
  recipeOf(
    resolveConfig({
      recipe: 'simdinov2',
      preset: 'cifar-tiny',
      overrides: [{ backbone: { width: 8, heads: 1, depth: 1 }, head: { hiddenWidth: 8, width: 4 } }, changes],
    }).config,
  );

describe('weights to start from', () => {
  const stored = tiny();
  let directory: string;
  let run: string;
  const tensors = (seed: number, prefix: string): Record<string, HostTensor> =>
    Object.fromEntries(Object.entries(stored.networks.init(seed)).map(([name, t]) => [prefix + name, t]));

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'initial-weights-'));
    run = join(directory, 'run');
    const opened = await openRun(run, { config: { ...stored.config } });
    await opened.save({ step: 1, seed: 0, state: { ...tensors(1, 'student.'), ...tensors(2, 'teacher.') } });
    await opened.close();
  });
  afterAll(() => rm(directory, { recursive: true }));

  it('are the backbone of the teacher for both networks', async () => {
    const initial = await initialWeights(stored, run, 'backbone');
    const { data } = tensors(2, '')['backbone.cls_token'];
    expect(initial['student.backbone.cls_token']).toEqual(data);
    expect(initial['teacher.backbone.cls_token']).toEqual(data);
    expect(Object.keys(initial).filter((name) => name.includes('head'))).toEqual([]);
  });

  it('are everything, each network its own', async () => {
    const initial = await initialWeights(stored, run, 'all');
    for (const [network, seed] of [
      ['student', 1],
      ['teacher', 2],
    ] as const) {
      for (const [name, { data }] of Object.entries(tensors(seed, '')))
        expect(initial[`${network}.${name}`]).toEqual(data);
    }
  });

  it('may come from a file with a backbone alone, of a network without mask token too', async () => {
    const file = join(directory, 'backbone.safetensors');
    const { 'backbone.mask_token': mask, ...rest } = tensors(3, '');
    const backbone = Object.entries(rest).filter(([name]) => name.startsWith('backbone.'));
    await writeSafetensors(file, Object.fromEntries(backbone.map(([name, t]) => [name.slice('backbone.'.length), t])));
    const initial = await initialWeights(stored, file, 'backbone');
    expect(mask).toBeDefined();
    expect(initial['student.backbone.mask_token']).toBeUndefined();
    expect(initial['student.backbone.norm.weight']).toEqual(rest['backbone.norm.weight'].data);
  });

  it.each([
    [{ backbone: { width: 16 } }, 'mis-shaped'],
    [{ backbone: { registers: 0 } }, 'unexpected register_tokens'],
    [{ backbone: { depth: 2 } }, 'missing blocks.1.norm1.weight'],
  ])('of a network other than %j are refused in one error', async (changes, said) => {
    const error: unknown = await initialWeights(tiny(changes), run, 'backbone').catch((e: unknown) => e);
    expect(SslError.is(error) && error.code).toBe('CHECKPOINT_MISMATCH');
    expect((error as SslError).message).toContain(said);
  });
});
