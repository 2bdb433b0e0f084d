import { randomUUID } from 'node:crypto';
import { mkdir, open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { SslError, type SslErrorCode } from '@selfsup/core';

const FIXES: Readonly<Record<string, string>> = {
  EACCES: 'check the permissions',
  EDQUOT: 'free some space or raise the quota',
  EFBIG: 'raise the limit on file sizes (ulimit -f)',
  EISDIR: 'pass a file, not a folder',
  EMFILE: 'raise the limit on open files (ulimit -n)',
  ENOENT: 'check the path',
  ENOSPC: 'free some space on the disk',
  ENOTDIR: 'a part of the path is a file; choose another path',
  EPERM: 'check the permissions',
  EROFS: 'choose a place that can be written to',
};

/** The `code` of a Node error, e.g. `ENOENT`. */
export function errorCode(cause: unknown): string | undefined {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined;
}

/** One {@link SslError} for a failed file operation; an SslError passes through. */
export function fileFailure(code: SslErrorCode, where: string, action: string, path: string, cause: unknown): SslError {
  if (SslError.is(cause)) return cause;
  const reason = errorCode(cause);
  return new SslError(code, {
    where,
    expected: `to ${action} ${path}`,
    got: cause instanceof Error ? cause.message : String(cause),
    fix: FIXES[reason ?? ''] ?? 'check the disk',
    details: { path, ...(reason === undefined ? {} : { reason }) },
    cause,
  });
}

/** Temporary files and folders begin with a dot and end in this; whatever is found of them after a crash is rubbish. */
const TEMPORARY = /^\..*\.tmp$/;

/** A name beside `path` that nobody else uses. */
export function temporaryName(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomUUID()}.tmp`);
}

/** Whether a file name was made by {@link temporaryName}. */
export function isTemporaryName(name: string): boolean {
  return TEMPORARY.test(name);
}

/** Makes a folder and those above it. Node's own recursive `mkdir` never returns below /proc. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (cause) {
    const reason = errorCode(cause);
    if (reason === 'EEXIST' && (await stat(path)).isDirectory()) return;
    if (reason !== 'ENOENT' || dirname(path) === path) throw cause;
    await makeFolder(dirname(path));
    await mkdir(path);
  }
}

/** Makes names in a folder survive a power failure. */
export async function syncDirectory(path: string): Promise<void> {
  // Windows cannot open folders; its file systems log renames themselves.
  if (process.platform === 'win32') return;
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } catch (cause) {
    // Some network file systems cannot flush folders.
    if (!['EINVAL', 'ENOTSUP'].includes(errorCode(cause) ?? '')) throw cause;
  } finally {
    await handle.close();
  }
}

/** Writes all the bytes at the end of an open file. */
export async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += (await handle.write(bytes, at, bytes.length - at)).bytesWritten;
  }
}

/**
 * Replaces a file as a whole: written beside it, flushed to the disk, renamed over it, so that whatever happens either
 * the old or the new content is there.
 */
export async function replaceFile<T>(path: string, write: (handle: FileHandle) => Promise<T>): Promise<T> {
  const temporary = temporaryName(path);
  try {
    const handle = await open(temporary, 'wx');
    let result: T;
    try {
      result = await write(handle);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
    await syncDirectory(dirname(path));
    return result;
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw cause;
  }
}

/** {@link replaceFile} with a text. */
export async function replaceText(path: string, text: string): Promise<void> {
  await replaceFile(path, (handle) => writeAll(handle, Buffer.from(text)));
}
