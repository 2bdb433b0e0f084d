import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { Client } from './pjrt/client.js';
import { encodeCompileOptions, type CompileSettings } from './pjrt/compile-options.js';

/** Begins every file; the hash of the program follows. */
const MARK = Buffer.from('selfsup-xla-1\n');
const HASH_BYTES = 32;

const sha256 = (...parts: readonly (string | Uint8Array)[]): Buffer => {
  const hash = createHash('sha256');
  // Lengths keep parts apart.
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest();
};

/** What a compiled program depends on besides its text and options: the plugin's build, and the devices' kind. */
function machineOf(client: Client): string {
  const { plugin, platform, platformVersion, devices } = client;
  const { size, mtimeMs } = statSync(plugin.path);
  const processor = platform === 'cpu' ? cpus()[0]?.model : undefined;
  const kind = devices[0]?.kind;
  return JSON.stringify([plugin.version, plugin.attributes, size, mtimeMs, platform, platformVersion, kind, processor]);
}

/** Compiled programs on disk. What is damaged or of another plugin counts as not there. */
export class ProgramCache {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The name under which a program is kept. */
  key(client: Client, text: string, settings: CompileSettings): string {
    return sha256(text, encodeCompileOptions(settings), machineOf(client)).toString('hex');
  }

  /** The compiled program; undefined when there is none, or a damaged one. */
  async find(key: string): Promise<Uint8Array | undefined> {
    const file = await readFile(this.#path(key)).catch(() => undefined);
    if (file === undefined || !file.subarray(0, MARK.length).equals(MARK)) return undefined;
    const start = MARK.length + HASH_BYTES;
    const program = file.subarray(start);
    return sha256(program).equals(file.subarray(MARK.length, start)) ? program : undefined;
  }

  /** Keeps a compiled program. A folder that cannot be written to costs the next start some time, nothing else. */
  async keep(key: string, program: Uint8Array): Promise<void> {
    const path = this.#path(key);
    const unfinished = `${path}.${process.pid}`;
    try {
      await mkdir(this.#folder, { recursive: true });
      await writeFile(unfinished, Buffer.concat([MARK, sha256(program), program]));
      await rename(unfinished, path);
    } catch {
      await rm(unfinished, { force: true }).catch(() => undefined);
    }
  }

  #path(key: string): string {
    return join(this.#folder, `${key}.xla`);
  }
}
