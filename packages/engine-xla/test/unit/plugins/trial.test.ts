import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { PLUGINS } from '../../../src/plugins/catalog.js';
import { systemRuntime } from '../../../src/plugins/system-libraries.js';
import { tryPlugin } from '../../../src/plugins/trial.js';
import { cpuPlugin } from '../../plugin.js';
import { temporary } from '../../support/wheels.js';

const plugin = (path: string, name = 'mine'): Parameters<typeof tryPlugin>[0] => ({ name, path, preload: [] });

afterEach(() => void vi.unstubAllEnvs());

describe.skipIf(cpuPlugin() === undefined)('the CPU plugin', () => {
  const path = cpuPlugin() ?? '';

  it('works, and lists its device', async () => {
    expect(await tryPlugin(plugin(path, 'cpu'))).toEqual({
      works: true,
      platform: 'cpu',
      platformVersion: expect.any(String) as string,
      apiVersion: expect.stringMatching(/^0\.\d+$/) as string,
      devices: [{ name: 'cpu', memoryBytes: null }],
    });
  });

  it('is given up when it takes too long', async () => {
    const trial = await tryPlugin(plugin(path, 'cpu'), { seconds: 0.001 });
    expect(trial).toMatchObject({ works: false, reason: 'failed', says: expect.stringContaining('0.001 s') as string });
  });

  it('takes only its own process with it when it crashes', async () => {
    const crash = join(await temporary(), 'crash.cjs');
    await writeFile(crash, "process.on('message', () => process.kill(process.pid, 'SIGSEGV'));");
    vi.stubEnv('NODE_OPTIONS', `--require ${crash}`);
    const trial = await tryPlugin(plugin(path, 'cpu'));
    expect(trial).toMatchObject({ works: false, reason: 'failed', says: expect.stringContaining('SIGSEGV') as string });
  });

  it('is interrupted on request', async () => {
    const trial = tryPlugin(plugin(path, 'cpu'), { signal: AbortSignal.abort() });
    await expect(trial).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });
});

describe('something that is no plugin', () => {
  it('is told apart, with a fix', async () => {
    const text = join(await temporary(), 'plugin.so');
    await writeFile(text, 'not a library');
    for (const path of [text, '/no/such/plugin.so', process.execPath]) {
      const trial = await tryPlugin(plugin(path));
      expect(trial).toMatchObject({ works: false, reason: 'failed', fix: expect.stringMatching(/\w/) as string });
      expect(trial).not.toMatchObject({ says: expect.stringContaining('Fix') as string });
    }
  });
});

const NEEDS = PLUGINS['cuda13'].nvidia ?? { libraries: [], cuda: 0, driver: 0 };
const GOOD = { driver: '580.65.06', devices: 1, windows: false };
const hasCuda = systemRuntime(NEEDS).missing.length === 0;

describe('a plugin for NVIDIA that fails', () => {
  it('is explained by what the machine lacks', async () => {
    const broken = plugin('/no/such/plugin.so', 'cuda13');
    const none = { devices: 0, windows: false };
    expect(await tryPlugin(broken, { system: none })).toMatchObject({ works: false, reason: 'no-driver' });
    const old = { driver: '550.54.14', devices: 1, windows: false };
    expect(await tryPlugin(broken, { system: old })).toMatchObject({ reason: 'driver-too-old' });
  });

  it.skipIf(hasCuda)('is explained by the runtime libraries that are missing', async () => {
    const trial = await tryPlugin(plugin('/no/such/plugin.so', 'cuda13'), { system: GOOD });
    expect(trial).toMatchObject({
      reason: 'no-runtime',
      says: expect.stringContaining('libcudnn.so.9') as string,
      fix: expect.stringContaining('selfsup engine add cuda13 --runtime wheels') as string,
    });
  });

  it('is to blame itself where the machine has everything', async () => {
    const libraries = await temporary();
    for (const library of NEEDS.libraries) await writeFile(join(libraries, basename(library)), '');
    vi.stubEnv('LD_LIBRARY_PATH', libraries);
    expect(await tryPlugin(plugin('/no/such/plugin.so', 'cuda13'), { system: GOOD })).toMatchObject({
      reason: 'failed',
      says: expect.stringContaining('no such file') as string,
    });
  });
});
