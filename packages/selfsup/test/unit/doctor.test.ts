import { mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InstalledPlugin } from '@selfsup/engine-xla/plugins';
import { propertyOptions } from '@selfsup/test-kit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Check } from '../../src/doctor/check.js';
import { checkEngine, ENGINES_TO_TRY } from '../../src/doctor/engine-speed.js';
import { findingsText, verdict, wrapped } from '../../src/doctor/findings.js';
import { checkSharp } from '../../src/doctor/image-library.js';
import { checkCores, checkMemory, checkNode } from '../../src/doctor/machine.js';
import { checkRunFolder } from '../../src/doctor/run-folder.js';
import { checkLibraries, libraryVersion, ownVersion } from '../../src/doctor/versions.js';
import { nothingInstalled, pluginCheck } from '../../src/doctor/xla-plugins.js';

const GB = 2 ** 30;

describe('checks of the machine', () => {
  it('refuse an old Node and say which one to take', () => {
    expect(checkNode('v18.20.1')).toMatchObject({ status: 'failed', fix: expect.stringContaining('20') as string });
    for (const version of ['v20.0.0', 'v22.11.0', 'v100.0.0']) expect(checkNode(version).status).toBe('ok');
    expect(checkNode().status).toBe('ok');
  });

  it('warn of little memory and refuse next to none', () => {
    expect(checkMemory(8 * GB, 16 * GB).status).toBe('ok');
    expect(checkMemory(1 * GB, 16 * GB)).toMatchObject({
      status: 'warning',
      fix: expect.stringMatching(/batch/) as string,
    });
    expect(checkMemory(0.1 * GB, 16 * GB).status).toBe('failed');
    expect(checkMemory().facts?.['availableBytes']).toBeGreaterThan(0);
  });

  it('warn of a single core', () => {
    expect(checkCores(1).status).toBe('warning');
    expect(checkCores(2).status).toBe('ok');
  });
});

describe('checks of libraries', () => {
  it('find versions, here and of what is not there', () => {
    expect(ownVersion()).toMatch(/^\d+\.\d+\.\d+/);
    expect(libraryVersion('sharp')).toMatch(/^0\./);
    expect(libraryVersion('no-such-library')).toBeUndefined();
    expect(checkLibraries()).toMatchObject({ status: 'ok', facts: { missing: [] } });
  });

  it('take a picture through every format', async () => {
    const { status, facts } = await checkSharp();
    expect(status).toBe('ok');
    expect(facts?.['formats']).toEqual(['jpeg', 'png', 'webp', 'gif', 'tiff', 'avif']);
  });
});

describe('checks of engines', () => {
  it('measure one that works', async () => {
    const found = await checkEngine({ engine: 'tfjs', backend: 'wasm', needed: true, fix: 'x' }, 0);
    expect(found, found.says).toMatchObject({ name: 'tfjs wasm', status: 'ok' });
    expect(found.facts?.['gigaflops']).toBeGreaterThan(0);
  });

  it('tell of one that does not, as broken or as a pity, with its fix', async () => {
    const wanted = { engine: 'tfjs', backend: 'node-gpu', fix: 'install it' };
    expect(await checkEngine({ ...wanted, needed: true }, 0)).toMatchObject({ status: 'failed', fix: 'install it' });
    expect(await checkEngine({ ...wanted, needed: false }, 0)).toMatchObject({ status: 'warning', fix: 'install it' });
  });

  it('need the one that comes along by default', () => {
    expect(ENGINES_TO_TRY.filter(({ needed }) => needed).map(({ engine }) => engine)).toEqual(['onnxruntime']);
  });
});

describe('checks of XLA plugins', () => {
  const plugin: InstalledPlugin = {
    name: 'cuda13',
    version: '1.2',
    library: 'a.so',
    runtime: 'wheels',
    bytes: 5,
    wheels: [],
    folder: '/cache/cuda13',
    path: '/cache/cuda13/a.so',
  };
  const machine = { platform: 'linux', architecture: 'x64', gnu: true } as const;

  it('list devices, those of a kind together', () => {
    const devices = [80, 80, null].map((size) => ({
      name: size === null ? 'cpu' : 'H100',
      memoryBytes: size === null ? null : size * GB,
    }));
    const trial = { works: true, platform: 'cuda', platformVersion: '', apiVersion: '0.1', devices } as const;
    expect(pluginCheck(plugin, trial)).toMatchObject({
      name: 'xla cuda13',
      status: 'ok',
      says: '1.2 on 2 of H100 with 80.0 GB, cpu',
    });
  });

  it('warn of a plugin that cannot be used, with the fix', () => {
    const trial = { works: false, reason: 'driver-too-old', says: 'driver 5 is too old', fix: 'update it' } as const;
    expect(pluginCheck(plugin, trial)).toMatchObject({
      status: 'warning',
      says: '1.2 cannot be used here: driver 5 is too old',
      fix: 'update it',
      facts: { reason: 'driver-too-old', path: plugin.path },
    });
    expect(pluginCheck(plugin, { ...trial, reason: 'failed' }).says).toContain('does not work');
  });

  it('find no fault with a machine that has none, and name the one for its GPU', () => {
    const bare = nothingInstalled({ devices: 0, windows: false }, machine);
    expect(bare).toMatchObject({ name: 'xla', status: 'ok', says: expect.stringContaining('none needed') as string });
    for (const [driver, name] of [
      ['580.65.06', 'cuda13'],
      ['550.54.14', 'cuda12'],
    ]) {
      const found = nothingInstalled({ driver, devices: 1, windows: false }, machine);
      expect(found).toMatchObject({ status: 'ok', says: expect.stringContaining(`add ${name}`) as string });
    }
    const mac = nothingInstalled({ devices: 0, windows: false }, { ...machine, platform: 'darwin', gnu: false });
    expect(mac.says).not.toContain('engine add');
  });
});

describe('the check of the run folder', () => {
  it('writes beside runs that are not there yet, and leaves nothing', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'selfsup-doctor-'));
    const found = await checkRunFolder(join(folder, 'runs', 'deep'));
    expect(found.status).not.toBe('failed');
    expect(found.facts).toMatchObject({ folder });
    expect(found.facts?.['bytesPerSecond']).toBeGreaterThan(0);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('findings', () => {
  const checks: Check[] = [
    { name: 'node', status: 'ok', says: 'v20 on linux' },
    { name: 'run folder', status: 'failed', says: 'cannot be written at all', fix: 'choose another one with --out' },
    { name: 'cores', status: 'warning', says: 'one', fix: 'get more' },
  ];

  it('fit terminals of 40 columns and of 100', () => {
    for (const columns of [40, 60, 100]) {
      const lines = findingsText(checks, columns).split('\n');
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
      expect(lines.join(' ').replace(/\s+/g, ' ')).toContain('Fix: choose another one with --out.');
    }
  });

  it('end in a verdict', () => {
    expect(verdict(checks)).toBe('Broken: run folder.');
    expect(verdict(checks.filter(({ status }) => status !== 'failed'))).toContain('cores');
    expect(verdict(checks.slice(0, 1))).toBe('Everything works.');
  });

  it('break lines between words only', () => {
    fc.assert(
      fc.property(
        fc.array(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 5, max: 40 }),
        (words, width) => {
          const lines = wrapped(words.join(' '), width);
          expect(lines.join(' ')).toBe(words.join(' '));
          for (const line of lines) if (line.includes(' ')) expect(line.length).toBeLessThanOrEqual(width);
        },
      ),
      propertyOptions(),
    );
  });
});
