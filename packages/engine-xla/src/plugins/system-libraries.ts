import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Environment } from './cache.js';
import type { NvidiaNeeds } from './catalog.js';

/** How `ldconfig -p` marks libraries of this architecture. */
const MARKS: Readonly<Partial<Record<string, string>>> = { x64: 'x86-64', arm64: 'AArch64' };

/** Libraries the system's loader knows, path by name. */
function loaderLibraries(): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  try {
    const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/sbin:/usr/sbin` };
    const stdio: ['ignore', 'pipe', 'ignore'] = ['ignore', 'pipe', 'ignore'];
    const listing = execFileSync('ldconfig', ['-p'], { encoding: 'utf8', env, stdio, maxBuffer: 2 ** 26 });
    const mark = MARKS[process.arch];
    for (const line of listing.split('\n')) {
      const [, name, kind, path] = /^\s*(\S+) \((.*)\) => (\S+)$/.exec(line) ?? [];
      if (path !== undefined && mark !== undefined && kind.includes(mark) && !found.has(name)) found.set(name, path);
    }
  } catch {
    // Not Linux, or no ldconfig: folders are looked at all the same.
  }
  return found;
}

/** Folders where a CUDA of this version may be. */
function cudaFolders(cuda: number, env: Environment): string[] {
  const { LD_LIBRARY_PATH: paths = '', CUDA_HOME: home, CUDA_PATH: other } = env;
  const roots = [home, other, `/usr/local/cuda-${cuda}`, '/usr/local/cuda'].filter((root) => root !== undefined);
  return [...paths.split(':').filter(Boolean), ...roots.map((root) => join(root, 'lib64'))];
}

/** The system's copies of what a plugin needs. */
export interface SystemRuntime {
  /** Paths of those that are there, in order. */
  readonly found: readonly string[];
  /** Names of those that are not. */
  readonly missing: readonly string[];
}

/** Looks for NVIDIA's runtime libraries where the loader finds them, and in the usual folders of CUDA. */
export function systemRuntime({ libraries, cuda }: NvidiaNeeds, env: Environment = process.env): SystemRuntime {
  const folders = cudaFolders(cuda, env);
  const loader = loaderLibraries();
  const found: string[] = [];
  const missing: string[] = [];
  for (const library of libraries) {
    const name = basename(library);
    const path = folders.map((folder) => join(folder, name)).find((file) => existsSync(file)) ?? loader.get(name);
    if (path === undefined) missing.push(name);
    else found.push(path);
  }
  return { found, missing };
}
