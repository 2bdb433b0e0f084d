import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SslError, type HostTensor, type Specs } from '@selfsup/core';
import { findCheckpoint, noCheckpoint, type FoundCheckpoint } from './checkpoint-folders.js';
import { errorCode, fileFailure } from './files.js';
import { inspectCheckpoint, MANIFEST_FILE, STATE_FILE, type Manifest } from './manifest.js';
import { openSafetensors } from './safetensors.js';
import { hostDType, toHostTensor } from './stored-tensors.js';

/** A checkpoint whose arrays are read on demand; nothing stays open. */
export interface LoadedCheckpoint {
  /** The safetensors file. */
  readonly path: string;
  /** Steps, seed and configuration of the run; undefined for a bare safetensors file. */
  readonly manifest: Manifest | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  /** Names, shapes and host dtypes of the arrays. */
  readonly specs: Specs;
  /** What the user should know, e.g. that the newest checkpoint was damaged and an older one is used. */
  readonly notes: readonly string[];
  /** Reads the arrays whose names begin with a prefix (default: all), under their full names. */
  read(prefix?: string): Promise<Record<string, HostTensor>>;
}

/** The checkpoint of a state file; its SHA-256 has been compared, or there is none. */
export async function openState(
  path: string,
  manifest: Manifest | undefined,
  notes: readonly string[],
): Promise<LoadedCheckpoint> {
  const file = await openSafetensors(path);
  const { metadata, entries } = file;
  await file.close();
  return {
    path,
    manifest,
    metadata,
    specs: Object.fromEntries(
      [...entries].map(([name, { shape, dtype }]) => [name, { shape, dtype: hostDType(dtype) }]),
    ),
    notes,
    read: async (prefix = '') => {
      const again = await openSafetensors(path);
      try {
        const tensors: [string, HostTensor][] = [];
        for (const name of again.entries.keys()) {
          if (name.startsWith(prefix)) tensors.push([name, toHostTensor(name, await again.read(name))]);
        }
        return Object.fromEntries(tensors);
      } finally {
        await again.close();
      }
    },
  };
}

async function inDirectory(directory: string): Promise<{ checkpoint: FoundCheckpoint; notes: readonly string[] }> {
  const names = await readdir(directory);
  if (names.includes(MANIFEST_FILE)) {
    const inspection = await inspectCheckpoint(directory);
    if ('manifest' in inspection) return { checkpoint: { directory, manifest: inspection.manifest }, notes: [] };
    throw new SslError('CHECKPOINT_UNREADABLE', {
      where: 'checkpoint.loadCheckpoint',
      expected: `a whole checkpoint in ${directory}`,
      got: inspection.damage,
      fix: 'load the run directory, which falls back on an older checkpoint',
      details: { path: directory },
    });
  }
  if (names.includes('metrics.jsonl') || names.includes('checkpoints')) {
    const { checkpoint, notes } = await findCheckpoint(directory);
    if (checkpoint === undefined) throw noCheckpoint('checkpoint.loadCheckpoint', directory, notes);
    return { checkpoint, notes };
  }
  throw new SslError('CHECKPOINT_UNREADABLE', {
    where: 'checkpoint.loadCheckpoint',
    expected: 'a run directory, a checkpoint folder or a .safetensors file',
    got: `${directory}, which holds neither metrics.jsonl nor ${MANIFEST_FILE}`,
    fix: 'pass the folder given to --out, or one of its checkpoints',
    details: { path: directory },
  });
}

/**
 * Finds a checkpoint: of a run directory the last whole one, of a `checkpoints/step-N` folder that one (its SHA-256 is
 * compared in both cases), or a single safetensors file.
 *
 * @throws SslError `CHECKPOINT_MISSING` where there is nothing at the path, `CHECKPOINT_UNREADABLE` where what is there
 *   holds none or is damaged
 *
 * @example
 * const checkpoint = await loadCheckpoint('runs/first');
 * const teacher = selectParameters(await checkpoint.read('teacher.backbone.'), 'teacher.backbone.');
 */
export async function loadCheckpoint(path: string): Promise<LoadedCheckpoint> {
  try {
    if (!(await stat(path)).isDirectory()) return await openState(path, undefined, []);
    const { checkpoint, notes } = await inDirectory(path);
    return await openState(join(checkpoint.directory, STATE_FILE), checkpoint.manifest, notes);
  } catch (cause) {
    const where = 'checkpoint.loadCheckpoint';
    if (errorCode(cause) !== 'ENOENT') throw fileFailure('CHECKPOINT_UNREADABLE', where, 'read', path, cause);
    throw new SslError('CHECKPOINT_MISSING', {
      where,
      expected: 'a run directory, a checkpoint folder or a .safetensors file',
      got: `${path}, which does not exist`,
      fix: 'check the path; runs are in the folders given to --out',
      details: { path },
      cause,
    });
  }
}
