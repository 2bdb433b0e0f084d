import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

export const repositoryRoot = join(import.meta.dirname, '../../..');

/** The parts of a package.json looked at here. */
export interface Manifest {
  readonly name: string;
  readonly private?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly bin?: Readonly<Record<string, string>>;
}

/** A package of this repository that is published. */
export interface PublishedPackage {
  readonly folder: string;
  readonly manifest: Manifest;
}

export function publishedPackages(): PublishedPackage[] {
  const packages = join(repositoryRoot, 'packages');
  return readdirSync(packages)
    .map((name) => join(packages, name))
    .map((folder) => ({ folder, manifest: JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest }))
    .filter(({ manifest }) => manifest.private !== true);
}

/** The package itself and every package of this repository it needs. */
export function withOurDependencies(name: string, all: readonly PublishedPackage[]): PublishedPackage[] {
  const found = new Map<string, PublishedPackage>();
  const visit = (wanted: string): void => {
    const entry = all.find(({ manifest }) => manifest.name === wanted);
    if (entry === undefined || found.has(wanted)) return;
    found.set(wanted, entry);
    Object.keys({ ...entry.manifest.dependencies, ...entry.manifest.peerDependencies }).forEach(visit);
  };
  visit(name);
  return [...found.values()];
}

/** Module names a user can import: the package and its other entries. */
export function entriesOf({ name, exports }: Manifest): string[] {
  return Object.keys(exports)
    .filter((path) => path !== './package.json')
    .map((path) => name + path.slice(1));
}

/** What a program wrote and how it ended. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, without settings of this repository's own npm. */
export async function run(cwd: string, program: string, args: readonly string[]): Promise<Outcome> {
  const own = Object.entries(process.env).filter(([name]) => !/^npm_|^NODE_OPTIONS$|^VITEST/i.test(name));
  const options = { cwd, env: Object.fromEntries(own), maxBuffer: 2 ** 26 };
  try {
    return { code: 0, ...(await promisify(execFile)(program, args, options)) };
  } catch (error) {
    const { code, stdout = '', stderr = String(error) } = error as Partial<Outcome>;
    return { code: typeof code === 'number' ? code : 1, stdout, stderr };
  }
}
