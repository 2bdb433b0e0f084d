import { existsSync } from 'node:fs';
import { SslError } from '@selfsup/core';
import type { LibraryHandle } from 'koffi';
import { loadKoffi } from '../pjrt/koffi.js';

/** Held for good: a collected library is unloaded. */
const loaded = new Map<string, LibraryHandle>();

/**
 * Loads shared libraries that a plugin will ask for by name, before the plugin is loaded: the loader then gives it these
 * instead of searching for others. Their symbols are visible to whatever is loaded later. A library is loaded once.
 *
 * @param paths - In an order in which each finds those it needs among the earlier ones.
 * @throws SslError `ENGINE_MISSING` naming the library that is gone or does not load
 */
export async function preloadLibraries(paths: readonly string[]): Promise<void> {
  if (paths.length === 0) return;
  // Not koffi itself: the first library of a process fixes the size of its stacks.
  const koffi = await loadKoffi();
  for (const path of paths) {
    if (loaded.has(path)) continue;
    try {
      // koffi would take the main program for a missing path.
      if (!existsSync(path)) throw new Error(`there is no ${path}`);
      loaded.set(path, koffi.load(path, { global: true }));
    } catch (cause) {
      throw new SslError('ENGINE_MISSING', {
        where: 'engine-xla.preloadLibraries',
        expected: `the runtime library ${path}`,
        got: cause instanceof Error ? cause.message.split('\n')[0] : String(cause),
        fix: 'add the plugin again, e.g. with "selfsup engine add cuda12 --runtime wheels"',
        details: { path },
        cause,
      });
    }
  }
}
