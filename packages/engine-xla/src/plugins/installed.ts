import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pickNamed, SslError } from '@selfsup/core';
import { cacheDirectory, diskError, pluginsFolder } from './cache.js';
import { PLUGINS } from './catalog.js';
import { driverProblem, nvidiaSystem } from './nvidia.js';
import { systemRuntime } from './system-libraries.js';

/** Where NVIDIA's runtime libraries of a plugin come from: the wheels beside it, the system, or nobody knows. */
export type RuntimeSource = 'wheels' | 'system' | 'none';

/** What is written beside an unpacked plugin; its being there says that the plugin is whole. */
export interface PluginRecord {
  readonly name: string;
  readonly version: string;
  /** The shared library, relative to the folder. */
  readonly library: string;
  readonly runtime: RuntimeSource;
  /** Of everything unpacked. */
  readonly bytes: number;
  /** Files it came from. */
  readonly wheels: readonly { readonly file: string; readonly sha256: string }[];
}

/** A plugin in the cache. */
export interface InstalledPlugin extends PluginRecord {
  readonly folder: string;
  /** Path of the shared library. */
  readonly path: string;
}

/** What to load, and what before it. */
export interface PluginLibrary {
  readonly name: string;
  /** Path of the plugin's shared library. */
  readonly path: string;
  /** Paths of libraries for {@link preloadLibraries}. */
  readonly preload: readonly string[];
}

export const RECORD = 'plugin.json';

function readRecord(folder: string): InstalledPlugin | undefined {
  try {
    const record = JSON.parse(readFileSync(join(folder, RECORD), 'utf8')) as PluginRecord;
    return { ...record, folder, path: join(folder, record.library) };
  } catch {
    // No plugin, or one of a version of selfsup that kept other records.
    return undefined;
  }
}

/** The plugin of a name in the cache; undefined when it is not there. */
export const installedPlugin = (name: string, cache = cacheDirectory()): InstalledPlugin | undefined =>
  readRecord(join(pluginsFolder(cache), name));

/** All plugins in the cache, by name. */
export function installedPlugins(cache = cacheDirectory()): InstalledPlugin[] {
  let names: string[];
  try {
    names = readdirSync(pluginsFolder(cache));
  } catch {
    // No folder: nothing was ever added.
    return [];
  }
  const plugins = names.filter((name) => !name.startsWith('.')).flatMap((name) => installedPlugin(name, cache) ?? []);
  return plugins.sort((a, b) => a.name.localeCompare(b.name));
}

function libraryOf({ name, folder, path, runtime }: InstalledPlugin): PluginLibrary {
  const nvidia = PLUGINS[name]?.nvidia;
  if (nvidia === undefined || runtime === 'none') return { name, path, preload: [] };
  const preload =
    runtime === 'wheels' ? nvidia.libraries.map((library) => join(folder, library)) : systemRuntime(nvidia).found;
  return { name, path, preload };
}

/** What to load for a plugin of the cache; undefined when it is not there. */
export function pluginLibrary(name: string, cache = cacheDirectory()): PluginLibrary | undefined {
  const plugin = installedPlugin(name, cache);
  return plugin === undefined ? undefined : libraryOf(plugin);
}

/**
 * The plugin to use: one of the cache by name, or with `auto` the best of those whose driver is there: a GPU's, else the
 * processor's.
 *
 * @throws SslError `UNKNOWN_NAME`, `ENGINE_MISSING` when it is not in the cache
 */
export function findPlugin(name = 'auto', cache = cacheDirectory()): PluginLibrary {
  if (name !== 'auto') pickNamed('engine-xla.findPlugin', 'a plugin by name', name, { auto: null, ...PLUGINS });
  const system = nvidiaSystem();
  const candidates = Object.values(PLUGINS).filter((spec) =>
    name === 'auto'
      ? spec.nvidia === undefined || driverProblem(spec.nvidia, system) === undefined
      : spec.name === name,
  );
  for (const spec of candidates) {
    const found = pluginLibrary(spec.name, cache);
    if (found !== undefined) return found;
  }
  const names = candidates.map((spec) => spec.name);
  throw new SslError('ENGINE_MISSING', {
    where: 'engine-xla.findPlugin',
    expected: name === 'auto' ? 'an XLA plugin for this machine' : `the XLA plugin ${name}`,
    got: `none in ${pluginsFolder(cache)}`,
    fix: `get it with ${names.map((each) => `"selfsup engine add ${each}"`).join(' or ')}, or pass --plugin PATH`,
    details: { name, cache },
  });
}

/**
 * Deletes a plugin from the cache. Processes that have it loaded go on.
 *
 * @throws SslError `UNKNOWN_NAME` when it is not there, `WRITE_FAILED`
 */
export async function removePlugin(name: string, cache = cacheDirectory()): Promise<InstalledPlugin> {
  const installed = installedPlugins(cache);
  if (installed.length === 0) {
    throw new SslError('UNKNOWN_NAME', {
      where: 'engine-xla.removePlugin',
      expected: 'an installed plugin',
      got: `"${name}" and none installed in ${pluginsFolder(cache)}`,
      fix: 'nothing is left to do',
      details: { name, known: [] },
    });
  }
  const byName = Object.fromEntries(installed.map((plugin) => [plugin.name, plugin]));
  const plugin = pickNamed('engine-xla.removePlugin', 'an installed plugin', name, byName);
  // Renamed first: it is there as a whole or not at all.
  const aside = join(pluginsFolder(cache), `.${name}-${randomUUID()}.tmp`);
  try {
    await rename(plugin.folder, aside);
    await rm(aside, { recursive: true, force: true });
  } catch (cause) {
    throw diskError('removePlugin', plugin.folder, cause);
  }
  return plugin;
}
