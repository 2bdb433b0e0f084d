import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cpuPlugin } from '../../../engine-xla/test/plugin.js';
import { inProcess } from './in-process.js';

const cpu = cpuPlugin();

// What it prints of a whole step is checked by `npm run check:gpu`, with NVIDIA's plugin.
describe('bench compile', () => {
  const cacheBefore = process.env['SELFSUP_CACHE'];
  beforeAll(async () => {
    process.env['SELFSUP_CACHE'] = await mkdtemp(join(tmpdir(), 'selfsup-bench-'));
  });
  afterAll(() => {
    if (cacheBefore === undefined) delete process.env['SELFSUP_CACHE'];
    else process.env['SELFSUP_CACHE'] = cacheBefore;
  });

  const refused = async (exit: number, says: RegExp, ...flags: string[]): Promise<void> => {
    const { code, stdout, stderr } = await inProcess(['bench', 'compile', ...flags, '--json']);
    expect(stderr.trim().split('\n').at(-1)).toMatch(says);
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(JSON.parse(stdout)).toMatchObject({ error: { message: expect.stringMatching(says) } });
    expect(code).toBe(exit);
  };

  it('refuses what cannot be compiled, before anything takes time', async () => {
    await refused(2, /selfsup engine add cuda12/);
    await refused(2, /selfsup engine add cuda13/, '--plugin', 'cuda13');
    const plugin = ['--plugin', join(tmpdir(), 'no-such-plugin.so')];
    await refused(2, /a batch that 3 devices divide, got 64/, ...plugin, '--batch-size', '64', '--devices', '3');
    await refused(2, /accumulate 2/, ...plugin, '--set', 'accumulate=2');
    await refused(2, /expected --precision f32 or bf16/, '--precision', 'f16');
    await refused(2, /expected --target h100/, '--target', 'a100');
    await refused(2, /a recipe/, '--recipe', 'simdin');
    await refused(2, /simdino, dino, simdinov2 or dinov2, got distill/, ...plugin, '--recipe', 'distill');
  });

  it('fails with one line for a file that is no plugin', async () => {
    const tiny = ['--preset', 'cifar-tiny', '--batch-size', '8', '--set', 'backbone.depth=1'];
    await refused(1, /no such file/, '--plugin', join(tmpdir(), 'no-such-plugin.so'), ...tiny);
  });

  it.skipIf(cpu === undefined)('fails with one line for a plugin of other devices', async () => {
    const tiny = ['--preset', 'cifar-tiny', '--batch-size', '8', '--set', 'backbone.depth=1'];
    await refused(1, /topolog/i, '--plugin', cpu as string, ...tiny);
  });
});
