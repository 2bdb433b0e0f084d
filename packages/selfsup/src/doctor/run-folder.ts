import { randomUUID } from 'node:crypto';
import { open, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { gigabytes, reason, type Check } from './check.js';

/** Written and flushed to measure a disk: about what a checkpoint of a small network has. */
const TEST_BYTES = 8 * 2 ** 20;

/** Below this a few checkpoints of a ViT-S do not fit. */
const LITTLE_SPACE = 2 * 2 ** 30;

/** Slower than this, saving takes longer than many training steps. */
const SLOW = 10 * 2 ** 20;

/** The folder runs go to, or the nearest one above it that is there. */
async function existingFolder(path: string): Promise<string> {
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    const facts = await stat(folder).catch(() => undefined);
    if (facts?.isDirectory() === true || folder === dirname(folder)) return folder;
  }
}

/** Writes a file, flushed, and removes it. @returns bytes a second */
async function writeSpeed(folder: string): Promise<number> {
  const path = join(folder, `.selfsup-doctor.${randomUUID()}.tmp`);
  const bytes = Buffer.alloc(TEST_BYTES);
  // Not all alike, or a compressing file system would be measured at nothing.
  for (let i = 0; i < bytes.length; i += 4) bytes.writeUInt32LE(Math.imul(i, 2654435761) >>> 0, i);
  const handle = await open(path, 'wx');
  try {
    const began = performance.now();
    await handle.write(bytes);
    await handle.sync();
    return TEST_BYTES / Math.max(1e-6, (performance.now() - began) / 1000);
  } finally {
    await handle.close();
    await rm(path, { force: true });
  }
}

/** Whether runs can be written where they go by default, how fast, and how much room there is. */
export async function checkRunFolder(path: string): Promise<Check> {
  const name = 'run folder';
  const folder = await existingFolder(path);
  try {
    const bytesPerSecond = await writeSpeed(folder);
    const { bavail, bsize } = await statfs(folder);
    const freeBytes = bavail * bsize;
    const facts = { folder, bytesPerSecond, freeBytes };
    const says = `${folder}: writes ${Math.round(bytesPerSecond / 2 ** 20)} MB/s, ${gigabytes(freeBytes)} free`;
    if (freeBytes < LITTLE_SPACE)
      return { name, status: 'warning', says, fix: 'free some space, or train with --out on another disk', facts };
    if (bytesPerSecond < SLOW) return { name, status: 'warning', says, fix: 'train with --out on a local disk', facts };
    return { name, status: 'ok', says, facts };
  } catch (cause) {
    const fix = 'check permissions and free space, or train with --out in another folder';
    return {
      name,
      status: 'failed',
      says: `${folder} cannot be written: ${reason(cause).split(', ')[0]}`,
      fix,
      facts: { folder },
    };
  }
}
