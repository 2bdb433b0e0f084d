import { mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SslError, type SslErrorCode } from '@selfsup/core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { installPlugin, type AddOptions } from '../../../src/plugins/install.js';
import { installedPlugin, installedPlugins } from '../../../src/plugins/installed.js';
import type { PluginSpec } from '../../../src/plugins/catalog.js';
import {
  executable,
  filesBelow,
  MACHINE,
  makeSpec,
  makeWheel,
  pathWithPip,
  simplePlugin,
  temporary,
  writeWheel,
} from '../../support/wheels.js';

const add = (spec: PluginSpec, options: AddOptions): ReturnType<typeof installPlugin> =>
  installPlugin(spec, { machine: MACHINE, ...options });

/** The error of work that must fail. */
async function errorOf(work: Promise<unknown>): Promise<{ code: SslErrorCode; message: string }> {
  const error = await work.then(
    () => new Error('it did not fail'),
    (cause: unknown) => cause,
  );
  if (!SslError.is(error)) throw error;
  return error;
}

afterEach(() => void vi.unstubAllEnvs());

describe('a plugin from wheels at hand', () => {
  it('is unpacked as far as needed, with a record of where it came from', async () => {
    const cache = await temporary();
    const { made, spec } = await simplePlugin(await temporary());
    const plugin = await add(spec, { cache, wheels: [made.path] });
    expect(await filesBelow(cache)).toEqual([
      'plugins/made/made/plugin.so',
      'plugins/made/made_plugin-1.0.dist-info/licenses/LICENSE',
      'plugins/made/plugin.json',
    ]);
    expect(await readFile(plugin.path, 'utf8')).toBe('machine code');
    expect(plugin).toMatchObject({ name: 'made', version: '1.0', runtime: 'none', bytes: 12 + 16 });
    expect(installedPlugins(cache)).toEqual([plugin]);
  });

  it('brings tools as executables and the libraries of runtimes, but no headers', async () => {
    const [cache, folder] = [await temporary(), await temporary()];
    const plugin = await makeWheel(folder, 'made_plugin', { 'made/plugin.so': 'x' });
    const compiler = await makeWheel(folder, 'nvidia_cuda_nvcc_made', {
      'nvidia/made/bin/ptxas': executable('assemble'),
      'nvidia/made/bin/nvcc': executable('compile'),
      'nvidia/made/lib/libnvvm.so.4': 'compile too',
    });
    const runtime = await makeWheel(folder, 'nvidia_made_cu1', {
      'nvidia/made/lib/libmade.so.1': 'y',
      'nvidia/made/lib/libmade_engines.so.1.2': 'z',
      'nvidia/made/lib/libmade.alt.so.1': 'other',
      'nvidia/made/lib/libmade_static.a': 'static',
      'nvidia/made/include/made.h': '#define',
    });
    const spec = makeSpec([plugin, compiler, runtime], {
      tools: ['nvidia/made/bin/ptxas'],
      nvidia: { libraries: ['nvidia/made/lib/libmade.so.1'], cuda: 1, driver: 1 },
    });
    const wheels = [plugin.path, compiler.path, runtime.path];
    const whole = await add(spec, { cache, wheels, runtime: 'wheels' });
    expect(await filesBelow(whole.folder)).toEqual([
      'made/plugin.so',
      'nvidia/made/bin/ptxas',
      'nvidia/made/lib/libmade.so.1',
      'nvidia/made/lib/libmade_engines.so.1.2',
      'plugin.json',
    ]);
    expect((await stat(join(whole.folder, 'nvidia/made/bin/ptxas'))).mode & 0o111).not.toBe(0);
    expect((await stat(whole.path)).mode & 0o111).toBe(0);

    const without = await add(spec, { cache, wheels: [plugin.path, compiler.path], runtime: 'none' });
    expect(await filesBelow(without.folder)).toEqual(['made/plugin.so', 'nvidia/made/bin/ptxas', 'plugin.json']);
  });

  it('takes the runtime of a system that has it, and says what one lacks', async () => {
    const [cache, folder, system] = [await temporary(), await temporary(), await temporary()];
    const { made } = await simplePlugin(folder);
    const libraries = ['nvidia/made/lib/libmade-one.so.1', 'nvidia/made/lib/libmade-two.so.1'];
    const spec = makeSpec([made], { nvidia: { libraries, cuda: 1, driver: 1 } });
    vi.stubEnv('LD_LIBRARY_PATH', system);
    await writeFile(join(system, 'libmade-one.so.1'), '');
    const error = await errorOf(add(spec, { cache, wheels: [made.path], runtime: 'system' }));
    expect(error).toMatchObject({ code: 'ENGINE_MISSING', details: { missing: ['libmade-two.so.1'] } });
    expect(error.message).toContain('Fix: install CUDA 1');
    await writeFile(join(system, 'libmade-two.so.1'), '');
    expect(await add(spec, { cache, wheels: [made.path] })).toMatchObject({ runtime: 'system' });
  });

  it('replaces an older one, and is left alone when it is there', async () => {
    const cache = await temporary();
    const [old, young] = [await simplePlugin(await temporary(), 'old'), await simplePlugin(await temporary(), 'young')];
    await add(old.spec, { cache, wheels: [old.made.path] });
    const plugin = await add(young.spec, { cache, wheels: [young.made.path] });
    expect(await readFile(plugin.path, 'utf8')).toBe('young');
    const notes: string[] = [];
    expect(await add(young.spec, { cache, note: (line) => notes.push(line) })).toEqual(plugin);
    expect(notes).toEqual(['made 1.0 is already there']);
    expect(await readdir(join(cache, 'plugins'))).toEqual(['made']);
  });

  it('clears away what was left by a process killed long ago, not what is being worked on', async () => {
    const cache = await temporary();
    const [stale, fresh] = ['.made-old', '.made-new'].map((name) => join(cache, 'plugins', name));
    for (const folder of [stale, fresh]) await mkdir(folder, { recursive: true });
    const longAgo = new Date(Date.now() - 2 * 24 * 3600 * 1000);
    await utimes(stale, longAgo, longAgo);
    const { made, spec } = await simplePlugin(await temporary());
    await add(spec, { cache, wheels: [made.path] });
    expect((await readdir(join(cache, 'plugins'))).sort()).toEqual(['.made-new', 'made']);
  });
});

describe('a wheel that is not what it should be', () => {
  /** Installs beside an older one of the same name, which must survive. */
  async function refused(
    spec: PluginSpec,
    paths: readonly string[],
    code: SslErrorCode,
    message: RegExp | string,
  ): Promise<void> {
    const cache = await temporary();
    const old = await simplePlugin(await temporary(), 'old');
    await add(old.spec, { cache, wheels: [old.made.path] });
    const before = await filesBelow(cache);
    const error = await errorOf(add(spec, { cache, wheels: paths }));
    expect(error.code, error.message).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.message).toContain('Fix: ');
    expect(await filesBelow(cache)).toEqual(before);
    expect(await readFile(installedPlugin('made', cache)?.path ?? '', 'utf8')).toBe('old');
  }

  it('is refused for a wrong hash', async () => {
    const { made, spec } = await simplePlugin(await temporary());
    await writeFile(made.path, Buffer.concat([await readFile(made.path), Buffer.of(0)]));
    await refused(spec, [made.path], 'BAD_DATA', made.wheel.sha256);
  });

  it('is refused when it is no wheel of this plugin, or no file at all', async () => {
    const [{ spec }, other] = [
      await simplePlugin(await temporary()),
      await makeWheel(await temporary(), 'other', { a: '' }),
    ];
    await refused(spec, [other.path], 'BAD_DATA', /one of the wheels wanted.*made_plugin-1\.0/);
    await refused(spec, ['/no/such/file.whl'], 'DATA_MISSING', /made_plugin-1\.0/);
  });

  it.each(['../outside.so', 'made/../../outside.so', '/outside.so', 'made\\..\\..\\outside.so'])(
    'is refused for a member that leads outside: %s',
    async (name) => {
      const made = await makeWheel(await temporary(), 'made_plugin', { 'made/plugin.so': 'x', [name]: 'y' });
      await refused(makeSpec([made]), [made.path], 'BAD_DATA', /inside one folder/);
    },
  );

  it('is refused without the member that matters', async () => {
    const made = await makeWheel(await temporary(), 'made_plugin', { 'made/other.so': 'x' });
    await refused(makeSpec([made]), [made.path], 'BAD_DATA', 'made/plugin.so');
  });

  it('is refused when it is no archive, or half of one', async () => {
    const folder = await temporary();
    const text = await writeWheel(folder, 'made_plugin', Buffer.from('not a zip'));
    await refused(makeSpec([text]), [text.path], 'BAD_DATA', 'a whole wheel');
    const { made } = await simplePlugin(folder);
    const half = await writeWheel(folder, 'made_plugin', (await readFile(made.path)).subarray(0, 200));
    await refused(makeSpec([half]), [half.path], 'BAD_DATA', 'a whole wheel');
  });
});

describe('a machine without a wheel', () => {
  it.each([
    ['another system', { platform: 'darwin', architecture: 'arm64', gnu: false }, 'darwin arm64'],
    ['another processor', { platform: 'linux', architecture: 'riscv64', gnu: true }, 'linux riscv64'],
    ['another C library', { platform: 'linux', architecture: 'x64', gnu: false }, 'without the GNU C library'],
  ] as const)('is told so: %s', async (_, machine, said) => {
    const { made, spec } = await simplePlugin(await temporary());
    const error = await errorOf(installPlugin(spec, { cache: await temporary(), wheels: [made.path], machine }));
    expect(error).toMatchObject({ code: 'ENGINE_MISSING' });
    expect(error.message).toContain(said);
    expect(error.message).toContain('--plugin PATH');
  });
});

describe.skipIf(process.platform === 'win32')('a download', () => {
  it('asks pip for the very file, and puts it in place', async () => {
    const [cache, index, log] = [await temporary(), await temporary(), await temporary()];
    const { made, spec } = await simplePlugin(index);
    vi.stubEnv('PATH', await pathWithPip(`cp "$requirements" ${log}/asked; cp ${index}/*.whl "$dest"`));
    const plugin = await add(spec, { cache });
    expect(await readFile(plugin.path, 'utf8')).toBe('machine code');
    expect(await readFile(join(log, 'asked'), 'utf8')).toBe(`made-plugin==1.0 --hash=sha256:${made.wheel.sha256}\n`);
    expect(await readdir(join(cache, 'plugins'))).toEqual(['made']);
  });

  /** What adding with such a pip says; nothing may be left behind. */
  async function failsWith(pip: string, signal?: AbortSignal): Promise<{ code: SslErrorCode; message: string }> {
    const cache = await temporary();
    const { spec } = await simplePlugin(await temporary());
    vi.stubEnv('PATH', pip);
    const error = await errorOf(add(spec, { cache, ...(signal === undefined ? {} : { signal }) }));
    expect(await filesBelow(cache)).toEqual([]);
    expect(await readdir(join(cache, 'plugins'))).toEqual([]);
    return error;
  }

  it('that serves another file is refused', async () => {
    const other = await simplePlugin(await temporary(), 'something else');
    const error = await failsWith(await pathWithPip(`cp ${other.made.path} "$dest"`));
    expect(error.code).toBe('BAD_DATA');
    expect(error.message).toContain(other.made.wheel.sha256);
  });

  it('that pip refuses tells what pip says, and the file to get by hand', async () => {
    const error = await failsWith(await pathWithPip('echo "ERROR: no such thing" >&2; exit 1'));
    expect(error.code).toBe('DOWNLOAD_FAILED');
    expect(error.message).toMatch(/no such thing.*Fix: .*made_plugin-1\.0.*--wheel/);
  });

  it('that fills the disk says so', async () => {
    const full = 'ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device';
    const error = await failsWith(await pathWithPip(`echo half > "$dest/half"; echo "${full}" >&2; exit 1`));
    expect(error.code).toBe('WRITE_FAILED');
    expect(error.message).toMatch(/Fix: free some space, or set SELFSUP_CACHE/);
  });

  it('without pip names the file to get by hand', async () => {
    const error = await failsWith(await temporary());
    expect(error.code).toBe('DOWNLOAD_FAILED');
    expect(error.message).toMatch(/no pip.*made_plugin-1\.0.*--wheel/);
  });

  it('that is interrupted leaves nothing behind', async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 500);
    const began = performance.now();
    const error = await failsWith(await pathWithPip('echo half > "$dest/half"; exec sleep 60'), controller.signal);
    expect(error.code).toBe('INTERRUPTED');
    expect(performance.now() - began).toBeLessThan(30_000);
  });
});

describe('a cache that cannot be written', () => {
  it('is an error with a fix', async () => {
    const file = join(await temporary(), 'file');
    await writeFile(file, '');
    const { made, spec } = await simplePlugin(await temporary());
    const error = await errorOf(add(spec, { cache: file, wheels: [made.path] }));
    expect(error).toMatchObject({ code: 'WRITE_FAILED' });
    expect(error.message).toContain('SELFSUP_CACHE');
  });
});
