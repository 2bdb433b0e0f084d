import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { SslError } from '@selfsup/core';
// Reads zip files member by member, whatever their size, and refuses names that lead out of the folder.
import { openPromise, type Entry } from 'yauzl';
import { diskError } from './cache.js';
import { isRuntime } from './catalog.js';
import type { Wheel } from './wheels.js';

/** SHA-256 of a file, hexadecimal. */
export async function sha256Of(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash, { signal });
  return hash.digest('hex');
}

function broken(file: string, expected: string, got: string, cause?: unknown): SslError {
  return new SslError('BAD_DATA', {
    where: 'engine-xla.addPlugin',
    expected,
    got,
    fix: 'get the file again; if that does not help, whoever serves it has another file under this name',
    details: { file },
    ...(cause === undefined ? {} : { cause }),
  });
}

/**
 * Whether a file is the wheel it should be.
 *
 * @throws SslError `BAD_DATA` when it is not
 */
export async function verifyWheel(path: string, wheel: Wheel, signal?: AbortSignal): Promise<void> {
  const [{ size }, sha256] = await Promise.all([stat(path), sha256Of(path, signal)]);
  if (sha256 === wheel.sha256) return;
  throw broken(
    path,
    `${wheel.file} with SHA-256 ${wheel.sha256} and ${wheel.bytes} bytes`,
    `${basename(path)} with SHA-256 ${sha256} and ${size} bytes`,
  );
}

const LICENSE = /\.dist-info\/(?:.*\/)?[^/]*(?:licen[cs]e|notice)[^/]*$/i;
/** Libraries as the loader looks for them; `alt` ones stand in for others in special cases. */
const LIBRARY = /\/lib\/(?![^/]*\.alt\.)[^/]*\.so(?:\.\d+)*$/;

/** Whether a member of a wheel is needed: of compilers and runtimes most is for building programs. */
function isNeeded(member: string, wheel: Wheel, named: ReadonlySet<string>): boolean {
  return named.has(member) || LICENSE.test(member) || (isRuntime(wheel) && LIBRARY.test(member));
}

/** Permissions: executable if it was where it was packed (Unix permissions are in the upper half). */
const modeOf = ({ externalFileAttributes }: Entry): number =>
  ((externalFileAttributes >>> 16) & 0o111) === 0 ? 0o644 : 0o755;

/**
 * Unpacks what is needed of a wheel.
 *
 * @param named - Members needed by name, besides licences and a runtime's libraries.
 * @returns bytes written
 * @throws SslError `BAD_DATA` when the file is no such archive, `WRITE_FAILED`
 */
export async function unpackWheel(
  path: string,
  wheel: Wheel,
  folder: string,
  named: ReadonlySet<string>,
  signal?: AbortSignal,
): Promise<number> {
  let bytes = 0;
  try {
    const zip = await openPromise(path, { strictFileNames: true, autoClose: false });
    try {
      for await (const entry of zip.eachEntry()) {
        if (!isNeeded(entry.fileName, wheel, named)) continue;
        const place = join(folder, entry.fileName);
        await mkdir(dirname(place), { recursive: true });
        const content = await zip.openReadStreamPromise(entry);
        await pipeline(content, createWriteStream(place, { mode: modeOf(entry), flush: true }), { signal });
        bytes += entry.uncompressedSize;
      }
    } finally {
      zip.close();
    }
  } catch (cause) {
    signal?.throwIfAborted();
    const problem = diskError('addPlugin', folder, cause);
    if (SslError.is(problem)) throw problem;
    const said = cause instanceof Error ? cause.message : String(cause);
    throw broken(wheel.file, 'a whole wheel with members inside one folder', said, cause);
  }
  return bytes;
}
