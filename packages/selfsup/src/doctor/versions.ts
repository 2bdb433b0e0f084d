import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { reason, type Check } from './check.js';

/** Libraries whose versions matter when something goes wrong. */
const LIBRARIES = [
  '@tensorflow/tfjs-core',
  '@tensorflow/tfjs',
  '@tensorflow/tfjs-backend-wasm',
  'onnxruntime-node',
  'sharp',
];

interface Package {
  readonly name: string;
  readonly version: string;
}

/** The manifest of the package a file belongs to. */
function packageOf(file: string, name: string): Package | undefined {
  for (let folder = dirname(file); folder !== dirname(folder); folder = dirname(folder)) {
    try {
      const found = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Partial<Package>;
      if (found.name === name && typeof found.version === 'string') return { name, version: found.version };
    } catch {
      // No manifest here, or not a readable one: look further up.
    }
  }
  return undefined;
}

/** Places to look from: libraries may be dependencies of our own packages only. */
const FROM = ['', '@selfsup/compile/node', '@selfsup/engine-onnxruntime', '@selfsup/datasets'];

function resolveFrom(from: string, name: string): string | undefined {
  try {
    const here = createRequire(import.meta.url);
    return from === '' ? here.resolve(name) : createRequire(here.resolve(from)).resolve(name);
  } catch {
    return undefined;
  }
}

/** Version of a library as it is found here; undefined where it is not. */
export function libraryVersion(name: string): string | undefined {
  for (const from of FROM) {
    const file = resolveFrom(from, name);
    const found = file === undefined ? undefined : packageOf(file, name);
    if (found !== undefined) return found.version;
  }
  return undefined;
}

/** This command line's own version. */
export function ownVersion(): string {
  const file = new URL(import.meta.url).pathname;
  return packageOf(process.platform === 'win32' ? file.slice(1) : file, 'selfsup')?.version ?? 'unknown';
}

/** Versions to note in checkpoints. */
export function runVersions(): Record<string, string> {
  const libraries = LIBRARIES.flatMap((name) => {
    const version = libraryVersion(name);
    return version === undefined ? [] : [[name, version] as const];
  });
  return { selfsup: ownVersion(), ...Object.fromEntries(libraries) };
}

/** Whether everybody uses the same tfjs: two copies have an engine each, and gradients get lost between them. */
function tfjsCopies(): string[] {
  const files = ['', '@tensorflow/tfjs', '@selfsup/compile/node'].flatMap(
    (from) => resolveFrom(from, '@tensorflow/tfjs-core') ?? [],
  );
  return [...new Set(files)];
}

export function checkLibraries(): Check {
  const versions: Record<string, string> = { selfsup: ownVersion() };
  const missing: string[] = [];
  for (const name of LIBRARIES) {
    const version = libraryVersion(name);
    if (version === undefined) missing.push(name);
    else versions[name] = version;
  }
  const facts = { versions, missing };
  const says = Object.entries(versions)
    .map(([name, version]) => `${name.replace('@tensorflow/', '')} ${version}`)
    .join(', ');
  const fix = 'reinstall with npm ci (or npm install selfsup)';
  if (missing.length > 0)
    return { name: 'libraries', status: 'failed', says: `missing: ${missing.join(', ')}`, fix, facts };
  try {
    const copies = tfjsCopies();
    if (copies.length > 1) {
      const found = `${copies.length} copies of tfjs-core: ${copies.join(', ')}`;
      const dedupe = 'bring all packages to one version of @tensorflow/tfjs-core (npm dedupe)';
      return { name: 'libraries', status: 'failed', says: found, fix: dedupe, facts: { ...facts, copies } };
    }
  } catch (cause) {
    return { name: 'libraries', status: 'failed', says: reason(cause), fix, facts };
  }
  return { name: 'libraries', status: 'ok', says, facts };
}
