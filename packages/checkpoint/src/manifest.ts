import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Specs } from '@selfsup/core';
import { errorCode } from './files.js';

/** Version of the layout of a checkpoint folder; a reader refuses a higher one. */
export const CHECKPOINT_FORMAT = 1;

/** File with the arrays, beside `manifest.json`. */
export const STATE_FILE = 'state.safetensors';
export const MANIFEST_FILE = 'manifest.json';

/** What `manifest.json` says of a checkpoint. Random numbers need no state: they depend on seed and step alone. */
export interface Manifest {
  readonly formatVersion: number;
  /** Package versions that wrote it. */
  readonly versions: Readonly<Record<string, string>>;
  /** The resolved configuration of the run. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Number of steps done. */
  readonly step: number;
  readonly seed: number;
  /** Names, shapes and dtypes of the arrays. */
  readonly tensors: Specs;
  readonly state: { readonly file: string; readonly bytes: number; readonly sha256: string };
  readonly savedAt: string;
}

/** A checkpoint folder, looked at: its manifest, or what is wrong with it in a few words. */
export type Inspection = { readonly manifest: Manifest } | { readonly damage: string };

function isManifest(value: unknown): value is Manifest {
  const manifest = value as Partial<Manifest> | null;
  return (
    typeof manifest === 'object' &&
    manifest !== null &&
    typeof manifest.formatVersion === 'number' &&
    Number.isSafeInteger(manifest.step) &&
    Number.isSafeInteger(manifest.seed) &&
    typeof manifest.config === 'object' &&
    typeof manifest.tensors === 'object' &&
    manifest.state?.file === STATE_FILE &&
    typeof manifest.state.bytes === 'number' &&
    typeof manifest.state.sha256 === 'string'
  );
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 4 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** Reads a checkpoint's manifest and compares the SHA-256 of its arrays, so that damage is found before it is used. */
export async function inspectCheckpoint(directory: string): Promise<Inspection> {
  let manifest: unknown;
  try {
    manifest = JSON.parse(await readFile(join(directory, MANIFEST_FILE), 'utf8'));
  } catch (cause) {
    return { damage: errorCode(cause) === 'ENOENT' ? `no ${MANIFEST_FILE}` : `${MANIFEST_FILE} cannot be read` };
  }
  if (!isManifest(manifest)) return { damage: `${MANIFEST_FILE} is not one of a checkpoint` };
  if (manifest.formatVersion > CHECKPOINT_FORMAT) {
    return { damage: `format version ${manifest.formatVersion}, which needs a newer @selfsup/checkpoint` };
  }
  const sum = await sha256Of(join(directory, STATE_FILE)).catch(() => undefined);
  if (sum === undefined) return { damage: `${STATE_FILE} cannot be read` };
  if (sum !== manifest.state.sha256) return { damage: `${STATE_FILE} does not match its SHA-256` };
  return { manifest };
}
