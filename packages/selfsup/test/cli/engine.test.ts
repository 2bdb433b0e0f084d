import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { addPlugin, installedPlugin } from '@selfsup/engine-xla/plugins';
import { nothingMayBeMissing } from '@selfsup/test-kit';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { inProcess, jsonOf } from './in-process.js';
import { temporary } from './support.js';

/** Where `.ci/run` put the CPU plugin, or the developer. */
const cpu = installedPlugin('cpu');
if (cpu === undefined && nothingMayBeMissing) throw new Error('no XLA CPU plugin: run "selfsup engine add cpu"');

const errorOf = (ended: Awaited<ReturnType<typeof inProcess>>): { code: string; message: string } =>
  (jsonOf(ended) as { error: { code: string; message: string } }).error;

afterEach(() => void vi.unstubAllEnvs());

describe('engine, with nothing installed', () => {
  let cache: string;
  beforeEach(async () => {
    cache = await temporary();
    vi.stubEnv('SELFSUP_CACHE', cache);
  });

  it('lists what can be added, with sizes', async () => {
    const ended = await inProcess(['engine', 'list', '--json']);
    expect(ended.code).toBe(0);
    const { plugins, available } = jsonOf(ended) as { plugins: unknown[]; available: Record<string, unknown>[] };
    expect(plugins).toEqual([]);
    expect(available.map(({ name }) => name)).toEqual(['cuda13', 'cuda12', 'cpu']);
    for (const { installed, downloadBytes, fitsThisMachine } of available) {
      expect(installed).toBeNull();
      if (fitsThisMachine === true) expect(downloadBytes).toBeGreaterThan(5e7);
    }
    const text = await inProcess(['engine', 'list']);
    expect(text.stdout).toMatch(/^no plugin installed\nselfsup engine add cuda13/);
  });

  it('suggests the nearest name, and removes nothing', async () => {
    const added = await inProcess(['engine', 'add', 'cdua12', '--json']);
    expect(added.code).toBe(2);
    expect(errorOf(added)).toMatchObject({ code: 'UNKNOWN_NAME', details: { nearest: 'cuda12' } });
    const removed = await inProcess(['engine', 'remove', 'cpu', '--json']);
    expect(removed.code).toBe(2);
    expect(errorOf(removed).message).toContain('none installed');
    expect((await inProcess(['engine', 'ad', 'cpu'])).code).toBe(2);
    expect(await readdir(cache)).toEqual([]);
  });

  it.runIf(process.platform === 'linux')(
    'refuses a wheel that is not the one wanted, and installs nothing',
    async () => {
      const wheel = join(await temporary(), 'lammps_jax_pjrt_cpu-0.11.2-py3-none-manylinux_2_27_x86_64.whl');
      await writeFile(wheel, 'something else');
      const ended = await inProcess(['engine', 'add', 'cpu', '--wheel', wheel, '--json']);
      expect(ended.code).toBe(1);
      expect(errorOf(ended)).toMatchObject({ code: 'BAD_DATA' });
      expect(errorOf(ended).message).toMatch(/SHA-256 1319390d.*Fix: get lammps_jax/);
      expect(await readdir(cache)).toEqual([]);
    },
  );
});

describe.skipIf(cpu === undefined)('engine, with the CPU plugin', () => {
  it('lists it with its device', async () => {
    const ended = await inProcess(['engine', 'list', '--json']);
    expect(ended.code).toBe(0);
    const { plugins } = jsonOf(ended) as { plugins: Record<string, unknown>[] };
    expect(plugins.find(({ name }) => name === 'cpu')).toMatchObject({
      version: cpu?.version,
      path: cpu?.path,
      sizeBytes: cpu?.bytes,
      works: true,
      devices: [{ name: 'cpu' }],
    });
    expect((await inProcess(['engine', 'list'])).stdout).toMatch(/ok +cpu .* on cpu/);
  });

  it('leaves it alone when it is added again', async () => {
    const ended = await inProcess(['engine', 'add', 'cpu', '--json']);
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stderr).toContain('already there');
    expect(jsonOf(ended)).toMatchObject({ name: 'cpu', works: true, path: cpu?.path });
    expect(await addPlugin('cpu')).toEqual(cpu);
  });

  it('is looked at by doctor', async () => {
    const ended = await inProcess(['doctor', '--out', await temporary(), '--seconds', '0.05', '--json']);
    const { checks } = jsonOf(ended) as { checks: Record<string, unknown>[] };
    expect(checks.find(({ name }) => name === 'xla cpu')).toMatchObject({
      status: 'ok',
      says: `${cpu?.version} on cpu`,
      facts: { works: true, path: cpu?.path },
    });
  });
});
