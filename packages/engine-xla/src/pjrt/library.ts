import { closeSync, fstatSync, openSync, readSync, realpathSync, statSync } from 'node:fs';
import { SslError } from '@selfsup/core';
import type { KoffiFunc, LibraryHandle } from 'koffi';
import { oneLine } from './errors.js';
import { loadKoffi, type Koffi } from './koffi.js';
import type { Pointer } from './layout.js';

/** A function of the API: a struct of arguments in, an error (or null) out. */
export type NativeFunction = KoffiFunc<(args: Pointer) => Pointer | null>;

/** `RTLD_NOW | RTLD_NODELETE`. */
const PIN: Partial<Record<NodeJS.Platform, number>> = { linux: 0x1002, darwin: 0x82 };

/** Fields of the header of an ELF file. */
const ELF: { magic: number; bits64: number; machines: Readonly<Record<string, number>> } = {
  magic: 0x7f454c46,
  bits64: 2,
  machines: { x64: 62, arm64: 183 },
};

const BUILT_FOR_THIS = 'use a plugin built for this system and processor';

function unusable(path: string, got: string, fix: string, cause?: unknown): SslError {
  return new SslError('ENGINE_FAILED', {
    where: 'engine-xla.loadPlugin',
    expected: `a PJRT plugin for ${process.platform} ${process.arch} at ${path === '' ? 'a path' : path}`,
    got,
    fix,
    details: { path, platform: process.platform, architecture: process.arch },
    ...(cause === undefined ? {} : { cause }),
  });
}

/**
 * The path of an existing file. Checked before the file is loaded: without a path koffi would load the main program.
 *
 * @throws SslError `ENGINE_FAILED`
 */
export function pluginPath(path: unknown): string {
  const fix = 'give the path of a shared library, or get one with "selfsup engine add cpu"';
  if (typeof path !== 'string' || path === '') throw unusable('', `no path (${String(path)})`, fix);
  return reading(path, () => {
    const file = statSync(path, { throwIfNoEntry: false });
    if (file === undefined) throw unusable(path, 'no such file', fix);
    if (!file.isFile()) throw unusable(path, 'a folder or device instead of a file', fix);
    return realpathSync(path);
  });
}

/** What the file system refuses, as an error with a fix. */
function reading<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (SslError.is(cause) || !(cause instanceof Error)) throw cause;
    throw unusable(path, oneLine(cause.message), 'give the path of a file that can be read', cause);
  }
}

/** What the system's loader said, and what to do about it. */
function loadError(path: string, cause: unknown): SslError {
  const said = oneLine(cause instanceof Error ? cause.message : String(cause));
  const lacks = /(\S+\.so[.\d]*): cannot open shared object file/.exec(said)?.[1];
  if (lacks !== undefined) {
    return unusable(
      path,
      said,
      `install what brings ${lacks} (for NVIDIA: "selfsup engine add cuda12", or CUDA)`,
      cause,
    );
  }
  if (/ELF|file too short|mach-o|architecture|not a valid Win32/i.test(said)) {
    return unusable(path, said, BUILT_FOR_THIS, cause);
  }
  if (/GLIBC|CXXABI/.test(said)) return unusable(path, said, 'use a newer Linux, or an older plugin', cause);
  return unusable(path, said, 'use another build of the plugin', cause);
}

/** A loaded shared library with the PJRT entry point. */
export interface PluginLibrary {
  readonly koffi: Koffi;
  /** Held for good: functions found by address do not keep the library. */
  readonly library: LibraryHandle;
  /** Address of the plugin's table of functions. */
  readonly api: Pointer;
}

/**
 * Keeps the library in memory until the process ends. XLA's threads never stop: unloading it when Node cleans up would
 * pull the code from under them.
 */
function pin(koffi: Koffi, path: string): void {
  const flags = PIN[process.platform];
  if (flags === undefined) return;
  const dlopen = koffi.load(null).func('dlopen', 'void*', ['str', 'int']) as (path: string, flags: number) => unknown;
  dlopen(path, flags);
}

/** Whether the tables that lie at the end of an ELF file of 64 bits are there: the system's loader crashes where they are not. */
function checkWhole(path: string): void {
  const header = Buffer.alloc(64);
  const file = openSync(path, 'r');
  const size = fstatSync(file).size;
  const read = readSync(file, header, 0, header.length, 0);
  closeSync(file);
  if (read < header.length || header.readUInt32BE(0) !== ELF.magic || header[4] !== ELF.bits64) return;
  const end = Number(header.readBigUInt64LE(40)) + header.readUInt16LE(58) * header.readUInt16LE(60);
  if (size < end) throw unusable(path, `a file that was cut off after ${size} of ${end} bytes`, 'get the plugin again');
  const machine = ELF.machines[process.arch];
  const found = header.readUInt16LE(18);
  if (machine !== undefined && found !== machine)
    throw unusable(path, `a library for another processor (ELF machine ${found})`, BUILT_FOR_THIS);
}

/** Loads a plugin's shared library. @throws SslError `ENGINE_FAILED` saying what is wrong with it */
export async function loadLibrary(path: string): Promise<PluginLibrary> {
  if (process.platform === 'linux') reading(path, () => checkWhole(path));
  const koffi = await loadKoffi();
  // XLA reports errors to us and logs them as well; its log stays off stderr unless it is asked for.
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '3';
  let library: LibraryHandle;
  try {
    library = koffi.load(path);
  } catch (cause) {
    throw loadError(path, cause);
  }
  let entry: () => Pointer | null;
  try {
    entry = library.func('GetPjrtApi', 'void*', []) as unknown as typeof entry;
  } catch (cause) {
    const fix = 'use a PJRT plugin (CPU, NVIDIA, AMD, Intel, TPU, Apple)';
    throw unusable(path, 'a shared library that is no PJRT plugin (it has no function GetPjrtApi)', fix, cause);
  }
  pin(koffi, path);
  const api = entry();
  if (api === null)
    throw unusable(path, 'a plugin whose GetPjrtApi returns nothing', 'use another build of the plugin');
  return { koffi, library, api };
}
