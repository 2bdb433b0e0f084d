import { readFileSync } from 'node:fs';
import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { SslError, type HostTensor } from '@selfsup/core';
import { isTemporaryName, makeFolder, replaceText, syncDirectory, temporaryName } from './files.js';
import { CHECKPOINT_FORMAT, inspectCheckpoint, MANIFEST_FILE, STATE_FILE, type Manifest } from './manifest.js';
import { writeSafetensors, type DeferredTensor } from './write-safetensors.js';

const FOLDER = 'checkpoints';
const LATEST = 'latest';

const folderOf = (step: number): string => `step-${step}`;

function stepOf(name: string): number | undefined {
  const match = /^step-(\d+)$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

/** Steps that have a checkpoint folder, newest first; whether they can be read is another matter. */
export async function checkpointSteps(run: string): Promise<number[]> {
  const names = await readdir(join(run, FOLDER)).catch(() => []);
  return names
    .map(stepOf)
    .filter((step) => step !== undefined)
    .sort((a, b) => b - a);
}

/** Path of a step's checkpoint in a run directory. */
export function checkpointPath(run: string, step: number): string {
  return join(run, FOLDER, folderOf(step));
}

/** A checkpoint that can be read. */
export interface FoundCheckpoint {
  readonly directory: string;
  readonly manifest: Manifest;
}

/** The checkpoint to go on from, and what had to be passed over. */
export interface CheckpointSearch {
  readonly checkpoint?: FoundCheckpoint;
  /** One sentence for each checkpoint that was passed over. */
  readonly notes: readonly string[];
}

/**
 * The checkpoint that `latest` names; where that one is damaged the newest one before it that is whole, and as a last
 * resort one after it, which was never announced.
 */
export async function findCheckpoint(run: string): Promise<CheckpointSearch> {
  const steps = await checkpointSteps(run);
  const text = await readFile(join(run, LATEST), 'utf8').catch(() => '');
  const announced = stepOf(basename(text.trim())) ?? steps[0];
  const notes: string[] = [];
  if (announced !== undefined && !steps.includes(announced)) notes.push(`checkpoint ${folderOf(announced)} is missing`);
  for (const step of [...steps.filter((s) => s <= announced), ...steps.filter((s) => s > announced)]) {
    const directory = checkpointPath(run, step);
    const inspection = await inspectCheckpoint(directory);
    if ('manifest' in inspection) {
      if (notes.length > 0) notes.push(`${folderOf(step)} is used instead`);
      return { checkpoint: { directory, manifest: inspection.manifest }, notes };
    }
    notes.push(`checkpoint ${folderOf(step)} is damaged: ${inspection.damage}`);
  }
  return { notes };
}

/** Refuses a run none of whose checkpoints can be read. */
export function noCheckpoint(where: string, run: string, notes: readonly string[]): SslError {
  return new SslError('CHECKPOINT_UNREADABLE', {
    where,
    expected: `a whole checkpoint in ${run}`,
    got: notes.length === 0 ? 'none yet' : notes.join('; '),
    fix:
      notes.length === 0
        ? 'train until the first checkpoint is saved'
        : 'start the run anew, or restore its files from a copy',
    details: { run, notes: [...notes] },
  });
}

/** What a checkpoint is made of. */
export interface CheckpointContent {
  /** Number of steps done. */
  readonly step: number;
  readonly seed: number;
  /** By name; see `DeferredTensor` for state that is too large to lie in memory twice. */
  readonly state: Readonly<Record<string, HostTensor | DeferredTensor>>;
  readonly config: Readonly<Record<string, unknown>>;
  /** Versions of further packages to note. */
  readonly versions: Readonly<Record<string, string>>;
}

/** A checkpoint just written. */
export interface SavedCheckpoint {
  readonly directory: string;
  readonly step: number;
  readonly bytes: number;
}

function ownVersion(): string {
  try {
    const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
    return (JSON.parse(text) as { version: string }).version;
  } catch {
    // Bundled into an application, the package has no manifest of its own.
    return 'unknown';
  }
}

/** Writes the folder under another name, flushed to the disk, and renames it: it is there as a whole or not at all. */
async function writeFolder(run: string, content: CheckpointContent): Promise<SavedCheckpoint> {
  const { step, seed, state, config, versions } = content;
  const directory = checkpointPath(run, step);
  const temporary = temporaryName(directory);
  await makeFolder(temporary);
  try {
    const written = await writeSafetensors(join(temporary, STATE_FILE), state, { step: String(step) });
    const manifest: Manifest = {
      formatVersion: CHECKPOINT_FORMAT,
      versions: { '@selfsup/checkpoint': ownVersion(), ...versions },
      config,
      step,
      seed,
      tensors: Object.fromEntries(Object.entries(state).map(([name, { shape, dtype }]) => [name, { shape, dtype }])),
      state: { file: STATE_FILE, ...written },
      savedAt: new Date().toISOString(),
    };
    await replaceText(join(temporary, MANIFEST_FILE), `${JSON.stringify(manifest, undefined, 1)}\n`);
    if ((await checkpointSteps(run)).includes(step)) {
      await checkSame(directory, written.sha256);
    } else {
      await rename(temporary, directory);
      await syncDirectory(join(run, FOLDER));
    }
    return { directory, step, bytes: written.bytes };
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** A step saved twice, e.g. by schedule and again on Ctrl-C, must have the same arrays. */
async function checkSame(directory: string, sha256: string): Promise<void> {
  const there = await inspectCheckpoint(directory);
  if ('manifest' in there && there.manifest.state.sha256 === sha256) return;
  throw new SslError('RUN_DIRECTORY', {
    where: 'checkpoint.Run.save',
    expected: `no checkpoint at ${directory}, or the same one`,
    got: 'damage' in there ? `a damaged one (${there.damage})` : 'one with other arrays',
    fix: 'save each step once, or move that folder away',
    details: { directory },
  });
}

/** Removes a checkpoint so that no half of it is ever taken for a whole. */
async function removeFolder(run: string, step: number): Promise<void> {
  const directory = checkpointPath(run, step);
  const aside = temporaryName(directory);
  await rename(directory, aside);
  await rm(aside, { recursive: true, force: true });
}

/** Names the checkpoint to go on from. */
async function announce(run: string, step: number): Promise<void> {
  await replaceText(join(run, LATEST), `${folderOf(step)}\n`);
}

/**
 * Saves a checkpoint: written whole first, then `latest` moves to it, only then the oldest ones beyond `keepLast` go. A
 * crash at any moment leaves the checkpoint before readable.
 */
export async function saveCheckpoint(
  run: string,
  content: CheckpointContent,
  keepLast: number,
): Promise<SavedCheckpoint> {
  const saved = await writeFolder(run, content);
  await announce(run, content.step);
  const older = (await checkpointSteps(run)).filter((step) => step < content.step);
  for (const step of older.slice(keepLast - 1)) await removeFolder(run, step);
  return saved;
}

/** Makes a step the newest checkpoint of a run that goes on from there: later folders and leftovers of a crash go. */
export async function rewindCheckpoints(run: string, step: number | undefined): Promise<void> {
  for (const name of await readdir(join(run, FOLDER)).catch(() => [])) {
    if (isTemporaryName(name)) await rm(join(run, FOLDER, name), { recursive: true, force: true });
  }
  if (step === undefined) return;
  await announce(run, step);
  for (const later of await checkpointSteps(run)) {
    if (later > step) await removeFolder(run, later);
  }
}
