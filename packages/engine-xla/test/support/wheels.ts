import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { strToU8, zipSync, type Zippable } from 'fflate';
import type { Machine, PluginSpec } from '../../src/plugins/catalog.js';
import { wheelOf, type Wheel } from '../../src/plugins/wheels.js';

export const temporary = (): Promise<string> => mkdtemp(join(tmpdir(), 'selfsup-plugins-'));

export const MACHINE: Machine = { platform: 'linux', architecture: 'x64', gnu: true };

export interface MadeWheel {
  readonly wheel: Wheel;
  readonly path: string;
}

/** An executable member of an archive. */
export const executable = (text: string): Zippable[string] => [strToU8(text), { os: 3, attrs: 0o100755 << 16 }];

/** Writes a file under a wheel's name, whatever is in it. */
export async function writeWheel(folder: string, distribution: string, content: Uint8Array): Promise<MadeWheel> {
  const file = `${distribution}-1.0-py3-none-manylinux_2_27_x86_64.whl`;
  const path = join(folder, file);
  await mkdir(folder, { recursive: true });
  await writeFile(path, content);
  return { wheel: wheelOf(file, content.length, createHash('sha256').update(content).digest('hex')), path };
}

/** Writes an archive of these members as the wheel of a package. */
export async function makeWheel(
  folder: string,
  distribution: string,
  members: Readonly<Record<string, string | Zippable[string]>>,
): Promise<MadeWheel> {
  const bytes = Object.entries(members).map(([name, content]) => [
    name,
    typeof content === 'string' ? strToU8(content) : content,
  ]);
  return writeWheel(folder, distribution, zipSync(Object.fromEntries(bytes) as Zippable));
}

/** A plugin of the catalogue's kind, made of these wheels. */
export const makeSpec = (wheels: readonly MadeWheel[], more: Partial<PluginSpec> = {}): PluginSpec => ({
  name: 'made',
  description: 'made up',
  version: '1.0',
  library: 'made/plugin.so',
  tools: [],
  trial: {},
  wheels: wheels.map(({ wheel }) => wheel),
  ...more,
});

/** The simplest plugin there can be. */
export async function simplePlugin(
  folder: string,
  content = 'machine code',
): Promise<{ made: MadeWheel; spec: PluginSpec }> {
  const made = await makeWheel(folder, 'made_plugin', {
    'made/plugin.so': content,
    'made/__init__.py': 'import this',
    'made_plugin-1.0.dist-info/licenses/LICENSE': 'do what you like',
  });
  return { made, spec: makeSpec([made]) };
}

/** Names of all files below a folder, sorted. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

/**
 * A folder for the front of PATH with a `python3` that answers `-m pip --version` and runs shell lines for
 * `-m pip download`; the lines find the folder to download to in `$dest` and what was asked for in `$requirements`.
 */
export async function pathWithPip(download: string): Promise<string> {
  const folder = await temporary();
  const script = `#!/bin/sh
case "$3" in --version) exit 0;; esac
while [ $# -gt 0 ]; do
  case "$1" in --dest) dest=$2;; --requirement) requirements=$2;; esac
  shift
done
${download}
`;
  await writeFile(join(folder, 'python3'), script);
  await chmod(join(folder, 'python3'), 0o755);
  return `${folder}${delimiter}/bin${delimiter}/usr/bin`;
}
