import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import type { Dataset } from '@selfsup/datasets';

/** SHA-256 of a file, however large. */
export async function fileHash(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** SHA-256 of a value as JSON, keys in order. */
export function valueHash(value: unknown): string {
  const sorted = (_: string, inner: unknown): unknown =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner;
  return createHash('sha256').update(JSON.stringify(value, sorted)).digest('hex');
}

/** SHA-256 of names and labels of all pictures, part by part; their pixels are not read. */
export function listingHash(parts: readonly Dataset[]): string {
  const hash = createHash('sha256');
  for (const part of parts) {
    hash.update(`${part.split}\n`);
    for (let i = 0; i < part.size; i++) hash.update(`${part.name(i)}\t${part.label(i) ?? ''}\n`);
  }
  return hash.digest('hex');
}

/** Folders of the packages a package is made of, itself first; only those of one scope. */
function packageFolders(folder: string, scope: string, known = new Set<string>()): ReadonlySet<string> {
  if (known.has(folder)) return known;
  known.add(folder);
  const manifest = join(folder, 'package.json');
  const { dependencies = {} } = JSON.parse(readFileSync(manifest, 'utf8')) as { dependencies?: Record<string, string> };
  const { resolve } = createRequire(manifest);
  for (const name of Object.keys(dependencies).filter((one) => one.startsWith(scope)))
    packageFolders(dirname(resolve(`${name}/package.json`)), scope, known);
  return known;
}

/** SHA-256 of the built code that runs: this package and all of ours it is made of. */
export function codeHash(ownFolder: string): string {
  const hash = createHash('sha256');
  for (const folder of [...packageFolders(ownFolder, '@selfsup/')].sort()) {
    const built = join(folder, 'dist');
    const files = readdirSync(built, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.js'))
      .map((entry) => join(entry.parentPath, entry.name))
      .sort();
    for (const file of files) hash.update(relative(built, file)).update(readFileSync(file));
  }
  return hash.digest('hex');
}
