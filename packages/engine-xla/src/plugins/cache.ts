import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { SslError } from '@selfsup/core';

/** Variables of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Where things are kept that can be got again: `SELFSUP_CACHE`, else where this system keeps such things. */
export function cacheDirectory(env: Environment = process.env, platform: string = process.platform): string {
  const { SELFSUP_CACHE: own, XDG_CACHE_HOME: shared, LOCALAPPDATA: local } = env;
  if (own !== undefined && own !== '') return own;
  // A relative path there is to be ignored (XDG Base Directory Specification).
  if (shared !== undefined && isAbsolute(shared)) return join(shared, 'selfsup');
  if (platform === 'win32') return join(local ?? join(homedir(), 'AppData', 'Local'), 'selfsup', 'Cache');
  return join(homedir(), platform === 'darwin' ? 'Library/Caches' : '.cache', 'selfsup');
}

/** The folder of all plugins. */
export const pluginsFolder = (cache: string): string => join(cache, 'plugins');

const DISK_TROUBLE = ['ENOSPC', 'EDQUOT', 'EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST', 'ENOENT', 'EIO', 'EMFILE'];

/** A failure to write to the cache as an error with a fix; other errors as they are. */
export function diskError(where: string, folder: string, cause: unknown): unknown {
  const { code } = (cause ?? {}) as NodeJS.ErrnoException;
  if (SslError.is(cause) || !(cause instanceof Error) || code === undefined || !DISK_TROUBLE.includes(code))
    return cause;
  return new SslError('WRITE_FAILED', {
    where: `engine-xla.${where}`,
    expected: `to write to ${folder}`,
    got: cause.message.split(', ')[0],
    fix: `${['ENOSPC', 'EDQUOT'].includes(code) ? 'free some space' : 'check its permissions'}, or set SELFSUP_CACHE to another folder`,
    details: { folder, code },
    cause,
  });
}
