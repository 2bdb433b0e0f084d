import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SslError, type HostTensor, type Specs } from '@selfsup/core';
import {
  checkpointSteps,
  findCheckpoint,
  noCheckpoint,
  rewindCheckpoints,
  saveCheckpoint,
  type FoundCheckpoint,
  type SavedCheckpoint,
} from './checkpoint-folders.js';
import { errorCode, fileFailure, isTemporaryName, makeFolder, replaceText } from './files.js';
import { encodeLine, readJsonLines, type JsonLines, type JsonRecord } from './json-lines.js';
import { openState, type LoadedCheckpoint } from './load-checkpoint.js';
import { takeLock, type Lock } from './lock.js';
import { STATE_FILE } from './manifest.js';
import { compareParameters } from './parameters.js';
import type { DeferredTensor } from './write-safetensors.js';

const CONFIG_FILE = 'config.json';
const METRICS_FILE = 'metrics.jsonl';
const BAD_FILES_FILE = 'bad-files.jsonl';

/** Checkpoints kept by default: the newest, and one to fall back on. */
export const DEFAULT_KEEP_LAST = 2;

/** Options of {@link openRun}. */
export interface OpenRunOptions {
  /** Go on in a directory that holds a run (default: start in a new or empty one). */
  readonly resume?: boolean;
  /** The resolved configuration, stored as `config.json` and in every checkpoint. Default when resuming: the stored one. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** What a checkpoint to go on from must hold; compared before anything is written. Not given: nothing is compared. */
  readonly state?: Specs;
  /** How many checkpoints stay. Default {@link DEFAULT_KEEP_LAST}; `Infinity` keeps all. */
  readonly keepLast?: number;
  /** Versions of further packages to note in the manifests. */
  readonly versions?: Readonly<Record<string, string>>;
}

/** What {@link Run.save} writes. */
export interface SaveOptions {
  /** Number of steps done. */
  readonly step: number;
  readonly seed: number;
  /** By name. Deferred tensors are read one after the other: the state must not move on before `save` returns. */
  readonly state: Readonly<Record<string, HostTensor | DeferredTensor>>;
}

/** An open run directory, locked against other writers. Close it; closing twice is fine. */
export interface Run {
  readonly directory: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** Where a resumed run goes on: its last whole checkpoint, to be read before the next save; undefined at the start. */
  readonly checkpoint: LoadedCheckpoint | undefined;
  /** What the user should know: a lock that was taken over, a damaged checkpoint that was passed over. */
  readonly notes: readonly string[];
  /** Appends a line to `metrics.jsonl`; `step` counts finished steps, from 1. */
  logMetrics(record: JsonRecord & { readonly step: number }): void;
  /** Appends a line to `bad-files.jsonl`. */
  logBadFile(record: JsonRecord): void;
  /** Saves a checkpoint; when it returns, the checkpoint survives a power failure. */
  save(options: SaveOptions): Promise<SavedCheckpoint>;
  /** Gives the lock back. */
  close(): Promise<void>;
}

function refuse(expected: string, got: string, fix: string, directory: string): SslError {
  return new SslError('RUN_DIRECTORY', { where: 'checkpoint.openRun', expected, got, fix, details: { directory } });
}

/** Names in a folder that somebody put there; locks and leftovers do not count. */
async function contents(directory: string): Promise<string[] | undefined> {
  try {
    return (await readdir(directory)).filter((name) => name !== 'lock' && !isTemporaryName(name));
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') return undefined;
    throw cause;
  }
}

async function checkDirectory(directory: string, resume: boolean): Promise<void> {
  const names = await contents(directory);
  if (resume && names?.includes(CONFIG_FILE) !== true) {
    throw refuse(
      'a run to resume',
      names === undefined ? `${directory}, which does not exist` : `${directory}, which holds no ${CONFIG_FILE}`,
      'check the path, or start the run without resuming',
      directory,
    );
  }
  if (!resume && names !== undefined && names.length > 0) {
    throw refuse(
      'a new or empty folder for a run',
      `${directory}, which holds ${names.slice(0, 3).join(', ')}${names.length > 3 ? ', ...' : ''}`,
      names.includes(CONFIG_FILE)
        ? 'go on with the run (--resume), or choose another folder (--out)'
        : 'choose another folder',
      directory,
    );
  }
}

async function storedConfig(directory: string): Promise<Readonly<Record<string, unknown>>> {
  const path = join(directory, CONFIG_FILE);
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Readonly<Record<string, unknown>>;
  } catch (cause) {
    throw fileFailure('RUN_DIRECTORY', 'checkpoint.openRun', 'read', path, cause);
  }
}

/** Writes a log anew without a line that was cut when the process was killed: the next line would be appended to it. */
async function rewriteLog(
  path: string,
  keep: (records: readonly JsonRecord[]) => readonly JsonRecord[] = (records) => records,
): Promise<void> {
  const { records } = await readJsonLines(path);
  await replaceText(path, keep(records).map(encodeLine).join(''));
}

/** The checkpoint to go on from; metrics and checkpoints after it are dropped, they will be made again. */
async function rewind(
  directory: string,
  state: Specs | undefined,
  notes: string[],
): Promise<FoundCheckpoint | undefined> {
  const found = await findCheckpoint(directory);
  if (found.checkpoint !== undefined && state !== undefined) {
    // A run of another network must stay as it is.
    const { specs } = await openState(join(found.checkpoint.directory, STATE_FILE), found.checkpoint.manifest, []);
    compareParameters(state, specs, { source: directory });
  }
  notes.push(...found.notes);
  if (found.checkpoint === undefined && (await checkpointSteps(directory)).length > 0) {
    throw noCheckpoint('checkpoint.openRun', directory, found.notes);
  }
  if (found.checkpoint === undefined) notes.push('no checkpoint was saved yet; the run starts at step 0');
  const step = found.checkpoint?.manifest.step ?? 0;
  await rewindCheckpoints(directory, found.checkpoint?.manifest.step);
  await rewriteLog(join(directory, METRICS_FILE), (records) => {
    const beyond = records.findIndex((record) => typeof record['step'] === 'number' && record['step'] > step);
    return beyond < 0 ? records : records.slice(0, beyond);
  });
  await rewriteLog(join(directory, BAD_FILES_FILE));
  return found.checkpoint;
}

/** A file that only grows. Lines are handed to the system at once, so that a killed process loses none of them. */
class Log {
  readonly #path: string;
  #descriptor: number | undefined;

  constructor(path: string) {
    this.#path = path;
    this.#descriptor = openSync(path, 'a');
  }

  append(record: JsonRecord): void {
    if (this.#descriptor === undefined) {
      throw refuse('an open run', 'one that was closed', 'log before closing', this.#path);
    }
    try {
      const line = Buffer.from(encodeLine(record));
      for (let at = 0; at < line.length;) at += writeSync(this.#descriptor, line, at);
    } catch (cause) {
      throw fileFailure('WRITE_FAILED', 'checkpoint.Run', 'append to', this.#path, cause);
    }
  }

  flush(): void {
    if (this.#descriptor !== undefined) fsyncSync(this.#descriptor);
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
}

async function prepare(
  directory: string,
  options: OpenRunOptions,
  notes: string[],
): Promise<FoundCheckpoint | undefined> {
  const { resume = false, config, state } = options;
  for (const name of await readdir(directory)) {
    if (isTemporaryName(name)) await rm(join(directory, name), { recursive: true, force: true });
  }
  const checkpoint = resume ? await rewind(directory, state, notes) : undefined;
  if (config !== undefined || !resume) {
    await replaceText(join(directory, CONFIG_FILE), `${JSON.stringify(config ?? {}, undefined, 2)}\n`);
  }
  return checkpoint;
}

async function start(directory: string, options: OpenRunOptions, lock: Lock): Promise<Run> {
  const { keepLast = DEFAULT_KEEP_LAST, versions = {} } = options;
  const notes = [...lock.notes];
  const found = await prepare(directory, options, notes);
  const checkpoint =
    found === undefined ? undefined : await openState(join(found.directory, STATE_FILE), found.manifest, notes);
  const config = options.config ?? (await storedConfig(directory));
  const metrics = new Log(join(directory, METRICS_FILE));
  const badFiles = new Log(join(directory, BAD_FILES_FILE));
  return {
    directory,
    config,
    checkpoint,
    notes,
    logMetrics: (record) => metrics.append(record),
    logBadFile: (record) => badFiles.append(record),
    save: async ({ step, seed, state }) => {
      try {
        // What was measured up to a checkpoint must last as long as the checkpoint.
        metrics.flush();
        return await saveCheckpoint(directory, { step, seed, state, config, versions }, keepLast);
      } catch (cause) {
        throw fileFailure('WRITE_FAILED', 'checkpoint.Run.save', 'save a checkpoint in', directory, cause);
      }
    },
    close: async () => {
      metrics.close();
      badFiles.close();
      await lock.release();
    },
  };
}

/**
 * Opens a run directory: `config.json`, `metrics.jsonl`, `bad-files.jsonl`, `checkpoints/step-N`, `latest` and a `lock`.
 * Nothing is written over: a new run needs a new or empty folder. A resumed run goes on from the checkpoint that `latest`
 * names, or, where that one is damaged, from the one before (see `notes`); metrics beyond it are dropped.
 *
 * @throws SslError `RUN_DIRECTORY` for a folder that is not empty (or, resuming, holds no run), is in use by another
 *   process, or cannot be written; `CHECKPOINT_MISMATCH` where it has other arrays than `state`; `CHECKPOINT_UNREADABLE` where a run to resume has only damaged checkpoints
 *
 * @example
 * const run = await openRun('runs/first', { config: { recipe: 'simdino' } });
 * run.logMetrics({ step: 1, loss: 0.5 });
 * await run.save({ step: 1, seed: 0, state });
 * await run.close();
 */
export async function openRun(directory: string, options: OpenRunOptions = {}): Promise<Run> {
  const { resume = false, keepLast = DEFAULT_KEEP_LAST } = options;
  if (!(keepLast >= 1)) {
    throw new SslError('BAD_OPTION', {
      where: 'checkpoint.openRun',
      expected: 'to keep at least one checkpoint',
      got: `${keepLast}`,
      fix: 'set keepLast to 1 or more',
      details: { keepLast },
    });
  }
  let lock: Lock | undefined;
  try {
    await checkDirectory(directory, resume);
    if (!resume) await makeFolder(directory);
    lock = await takeLock(directory);
    // Once more: another process may have been here between the first look and the lock.
    await checkDirectory(directory, resume);
    return await start(directory, options, lock);
  } catch (cause) {
    await lock?.release();
    throw fileFailure('RUN_DIRECTORY', 'checkpoint.openRun', resume ? 'resume in' : 'start a run in', directory, cause);
  }
}

/**
 * Reads the metrics of a run, also of one that is still running or was killed.
 *
 * @throws SslError `RUN_DIRECTORY` where the file is there but cannot be read
 */
export function readMetrics(directory: string): Promise<JsonLines> {
  return readJsonLines(join(directory, METRICS_FILE));
}

/** Reads the list of unreadable images of a run, as {@link readMetrics} does. */
export function readBadFiles(directory: string): Promise<JsonLines> {
  return readJsonLines(join(directory, BAD_FILES_FILE));
}
