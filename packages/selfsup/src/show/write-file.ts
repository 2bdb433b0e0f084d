import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { SslError } from '@selfsup/core';

function cannot(action: string, path: string, cause: unknown): SslError {
  return new SslError('RUN_DIRECTORY', {
    where: 'selfsup.output',
    expected: `to ${action} ${path}`,
    // What follows the comma names the draft, which would only puzzle.
    got: cause instanceof Error ? cause.message.split(', ')[0] : String(cause),
    fix: 'choose another place with --out, or check permissions and free space',
    details: { path },
    cause,
  });
}

/**
 * Makes a folder for results, with those above it.
 *
 * @throws SslError `RUN_DIRECTORY` where it cannot be made
 */
export async function makeOutputFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((cause: unknown) => {
    throw cannot('make the folder', path, cause);
  });
}

/**
 * Writes a file under another name first, so that whoever looks at it meanwhile sees the old one or the new one whole.
 *
 * @throws SslError `RUN_DIRECTORY` where it cannot be written
 */
export async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  const draft = join(dirname(path), `.${basename(path)}.${randomUUID()}.tmp`);
  try {
    await writeFile(draft, content);
    await rename(draft, path);
  } catch (cause) {
    await rm(draft, { force: true });
    throw cannot('write', path, cause);
  }
}
