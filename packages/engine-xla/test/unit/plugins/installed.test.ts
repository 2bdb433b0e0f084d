import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cacheDirectory } from '../../../src/plugins/cache.js';
import { PLUGINS } from '../../../src/plugins/catalog.js';
import {
  findPlugin,
  installedPlugins,
  pluginLibrary,
  removePlugin,
  type PluginRecord,
} from '../../../src/plugins/installed.js';
import { preloadLibraries } from '../../../src/plugins/preload.js';
import { temporary } from '../../support/wheels.js';

/** Puts the record of a plugin into a cache; the plugin itself is not looked at here. */
async function record(cache: string, name: string, more: Partial<PluginRecord> = {}): Promise<string> {
  const folder = join(cache, 'plugins', name);
  await mkdir(folder, { recursive: true });
  const facts: PluginRecord = { name, version: '1', library: 'x/y.so', runtime: 'none', bytes: 1, wheels: [], ...more };
  await writeFile(join(folder, 'plugin.json'), JSON.stringify(facts));
  return folder;
}

describe('plugins in the cache', () => {
  it('are listed by name; folders of something else are not', async () => {
    const cache = await temporary();
    expect(installedPlugins(cache)).toEqual([]);
    await record(cache, 'cuda12');
    await record(cache, 'cpu');
    await record(cache, '.cpu-draft');
    await mkdir(join(cache, 'plugins/empty'));
    expect(installedPlugins(cache).map(({ name }) => name)).toEqual(['cpu', 'cuda12']);
  });

  it('come with the runtime libraries that were unpacked beside them, in order', async () => {
    const cache = await temporary();
    expect(pluginLibrary('cuda12', cache)).toBeUndefined();
    const folder = await record(cache, 'cuda12', { runtime: 'wheels' });
    expect(pluginLibrary('cuda12', cache)).toEqual({
      name: 'cuda12',
      path: join(folder, 'x/y.so'),
      preload: PLUGINS['cuda12'].nvidia?.libraries.map((library) => join(folder, library)),
    });
    await record(cache, 'cuda12', { runtime: 'none' });
    expect(pluginLibrary('cuda12', cache)?.preload).toEqual([]);
  });

  it('are found by name, or the best for this machine', async () => {
    const cache = await temporary();
    expect(() => findPlugin('auto', cache)).toThrow(/Fix: get it with .*"selfsup engine add cpu"/);
    expect(() => findPlugin('cpu', cache)).toThrow(/"selfsup engine add cpu", or pass --plugin/);
    expect(() => findPlugin('cppu', cache)).toThrow('did you mean "cpu"');
    await record(cache, 'cpu');
    expect(findPlugin('auto', cache).name).toBe('cpu');
    expect(() => findPlugin('cuda13', cache)).toThrow(/"selfsup engine add cuda13"/);
    await record(cache, 'cuda13');
    expect(findPlugin('cuda13', cache).name).toBe('cuda13');
  });

  it('are removed whole', async () => {
    const cache = await temporary();
    await expect(removePlugin('cpu', cache)).rejects.toThrow('none installed');
    await record(cache, 'cpu');
    await expect(removePlugin('cpp', cache)).rejects.toThrow('did you mean "cpu"');
    expect(await removePlugin('cpu', cache)).toMatchObject({ name: 'cpu', version: '1' });
    expect(await readdir(join(cache, 'plugins'))).toEqual([]);
  });
});

describe('the cache', () => {
  it('is where the user or the system says', () => {
    expect(cacheDirectory({ SELFSUP_CACHE: '/a', XDG_CACHE_HOME: '/b' })).toBe('/a');
    expect(cacheDirectory({ SELFSUP_CACHE: '', XDG_CACHE_HOME: '/b' })).toBe('/b/selfsup');
    expect(cacheDirectory({ XDG_CACHE_HOME: 'relative' }, 'linux')).toBe(join(homedir(), '.cache/selfsup'));
    expect(cacheDirectory({}, 'darwin')).toBe(join(homedir(), 'Library/Caches/selfsup'));
    expect(cacheDirectory({ LOCALAPPDATA: 'C' }, 'win32')).toBe(join('C', 'selfsup', 'Cache'));
  });
});

describe('preloading', () => {
  it('says which library is missing or does not load', async () => {
    await expect(preloadLibraries(['/no/such/libmade.so.1'])).rejects.toThrow('there is no /no/such/libmade.so.1');
    const text = join(await temporary(), 'libmade.so.1');
    await writeFile(text, 'not a library');
    await expect(preloadLibraries([text])).rejects.toMatchObject({ code: 'ENGINE_MISSING', details: { path: text } });
    await preloadLibraries([]);
  });
});
