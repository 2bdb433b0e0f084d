import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { Client } from './pjrt/client.js';
import { encodeCompileOptions, type CompileSettings } from './pjrt/compile-options.js';

/** Begins every file; the hash of the program follows. */
const MARK = Buffer.from('selfsup-xla-1\n');
const HASH_BYTES = 32;
const SUFFIX = '.xla';
/** Programs, and those being written, which end in the number of a process. */
const OURS = /\.xla(\.\d+)?$/;
/** An hour: nobody takes that long to write a file. */
const UNFINISHED_MS = 3_600_000;
/** Programs that were not used for longest go when all together are larger: some fifty steps of a ViT-S. */
const MAX_BYTES = 2 ** 31;

const sha256 = (...parts: readonly (string | Uint8Array)[]): Buffer => {
  const hash = createHash('sha256');
  // Lengths keep parts apart.
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest();
};

/** The processor with its instruction sets, of which a virtual machine may hide some. */
function processor(): string {
  let flags: string | undefined;
  try {
    flags = /^(flags|Features)\s*:.*$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[0];
  } catch {
    // Not Linux: the model has to do.
  }
  return `${cpus()[0]?.model} ${flags}`;
}

/** What a compiled program depends on besides its text and options: the plugin's build, the devices' kind, XLA's flags. */
function machineOf(client: Client): string {
  const { plugin, platform, platformVersion, devices } = client;
  const { size, mtimeMs } = statSync(plugin.path);
  const build = [plugin.version, plugin.attributes, size, mtimeMs];
  const machine = [platform, platformVersion, devices[0]?.kind, platform === 'cpu' ? processor() : undefined];
  return JSON.stringify([build, machine, process.env['XLA_FLAGS']]);
}

/** Size and last use of a file; nothing of one that another process has just removed. */
async function fileOf(path: string): Promise<{ bytes: number; usedMs: number }> {
  return stat(path).then(
    ({ size, mtimeMs }) => ({ bytes: size, usedMs: mtimeMs }),
    () => ({ bytes: 0, usedMs: 0 }),
  );
}

/** Compiled programs on disk. What is damaged or of another plugin counts as not there. */
export class ProgramCache {
  readonly #folder: string;
  readonly #maxBytes: number;

  constructor(folder: string, maxBytes = MAX_BYTES) {
    this.#folder = folder;
    this.#maxBytes = maxBytes;
  }

  /** The name under which a program is kept. */
  key(client: Client, text: string, settings: CompileSettings): string {
    return sha256(text, encodeCompileOptions(settings), machineOf(client)).toString('hex');
  }

  /** The compiled program; undefined when there is none, or a damaged one. */
  async find(key: string): Promise<Uint8Array | undefined> {
    const path = this.#path(key);
    // At once, so that compiling begins before whatever else waits for its turn.
    if (!existsSync(path)) return undefined;
    const file = await readFile(path).catch(() => undefined);
    if (file === undefined || !file.subarray(0, MARK.length).equals(MARK)) return undefined;
    const start = MARK.length + HASH_BYTES;
    const program = file.subarray(start);
    if (!sha256(program).equals(file.subarray(MARK.length, start))) return undefined;
    const now = new Date();
    await utimes(path, now, now).catch(() => undefined);
    return program;
  }

  /** Keeps a compiled program. A folder that cannot be written to costs the next start some time, nothing else. */
  async keep(key: string, program: Uint8Array): Promise<void> {
    const path = this.#path(key);
    const unfinished = `${path}.${process.pid}`;
    try {
      await mkdir(this.#folder, { recursive: true });
      await writeFile(unfinished, Buffer.concat([MARK, sha256(program), program]));
      await rename(unfinished, path);
      await this.#prune();
    } catch {
      await rm(unfinished, { force: true }).catch(() => undefined);
    }
  }

  /**
   * Removes what was not used for longest until the rest is small enough (the newest stays whatever its size), and what
   * processes that were killed have left unfinished.
   */
  async #prune(): Promise<void> {
    const names = await readdir(this.#folder);
    const all = names.filter((name) => OURS.test(name)).map((name) => join(this.#folder, name));
    const files = await Promise.all(all.map(async (path) => ({ path, ...(await fileOf(path)) })));
    files.sort((a, b) => b.usedMs - a.usedMs);
    let [whole, bytes] = [0, 0];
    for (const file of files) {
      const unfinished = !file.path.endsWith(SUFFIX);
      if (!unfinished) bytes += file.bytes;
      const superfluous = unfinished ? Date.now() - file.usedMs > UNFINISHED_MS : whole++ > 0 && bytes > this.#maxBytes;
      if (superfluous) await rm(file.path, { force: true });
    }
  }

  #path(key: string): string {
    return join(this.#folder, `${key}${SUFFIX}`);
  }
}
