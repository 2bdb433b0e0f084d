import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { isRunHeld, readBadFiles, readMetrics, type JsonRecord } from '@selfsup/checkpoint';
import { SslError } from '@selfsup/core';
import { isRecord, leaves, numberAt, type Json } from './json-values.js';

/** Numbers recorded at a step, by name; nested ones by path (`knn.top1`). */
export interface StepRecord {
  readonly step: number;
  readonly values: Readonly<Record<string, number>>;
}

/** Where a run is. */
export type RunState = 'running' | 'finished' | 'stopped';

/** Everything a run directory says about its run, however much of it is there. */
export interface RunRecord {
  readonly directory: string;
  /** Name of the folder. */
  readonly name: string;
  readonly state: RunState;
  /** Resolved configuration; undefined where it cannot be read. */
  readonly config: Json | undefined;
  /** By rising step, one for each. */
  readonly records: readonly StepRecord[];
  /** Steps the run has, where it says. */
  readonly totalSteps: number | undefined;
  /** Last step that left a trace. */
  readonly lastStep: number;
  readonly badFiles: readonly JsonRecord[];
  /** Lines of metrics and bad files that could not be read. */
  readonly damagedLines: number;
  /** Newest first. */
  readonly checkpointSteps: readonly number[];
  /** Of the newest checkpoint; undefined where there is none or it cannot be read. */
  readonly manifest: Json | undefined;
  /** What a reader should know about missing or damaged parts. */
  readonly notes: readonly string[];
}

/** Files and folders that only a run has. */
const MARKS = ['config.json', 'metrics.jsonl', 'checkpoints'];

async function readJson(path: string): Promise<Json | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function noRun(path: string, got: string, fix: string): SslError {
  return new SslError('RUN_DIRECTORY', {
    where: 'selfsup.run',
    expected: 'a run directory (config.json, metrics.jsonl, checkpoints)',
    got: `${path}, ${got}`,
    fix,
    details: { path },
  });
}

/** Runs right below a folder, for a hint. */
async function runsBelow(path: string, names: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const name of names.slice(0, 50)) {
    const inside = await readdir(join(path, name)).catch((): string[] => []);
    if (MARKS.some((mark) => inside.includes(mark))) found.push(join(path, name));
  }
  return found;
}

async function checkIsRun(path: string): Promise<readonly string[]> {
  const facts = await stat(path).catch(() => undefined);
  if (facts === undefined) throw noRun(path, 'which does not exist', 'check the path, or train with --out first');
  if (!facts.isDirectory()) throw noRun(path, 'which is a file', 'pass the folder given to --out');
  const names = await readdir(path).catch((cause: unknown) => {
    throw noRun(path, cause instanceof Error ? cause.message : String(cause), 'check the permissions of the folder');
  });
  if (MARKS.some((mark) => names.includes(mark))) return names;
  const near = await runsBelow(path, names);
  throw noRun(
    path,
    names.length === 0 ? 'which is empty' : 'which holds none of these',
    near.length === 0 ? 'pass the folder given to --out' : `did you mean ${near[0]}`,
  );
}

/** Lines of one step belong together: the losses may be on one, the k-NN accuracy on another. */
function mergedBySteps(lines: readonly JsonRecord[]): StepRecord[] {
  const merged = new Map<number, Record<string, number>>();
  for (const line of lines) {
    const step = line['step'];
    if (typeof step !== 'number' || !Number.isSafeInteger(step) || step < 0) continue;
    const values = merged.get(step) ?? {};
    for (const [path, value] of leaves(line)) if (typeof value === 'number' && path !== 'step') values[path] = value;
    merged.set(step, values);
  }
  return [...merged].map(([step, values]) => ({ step, values })).sort((a, b) => a.step - b.step);
}

async function stepsOfCheckpoints(directory: string): Promise<number[]> {
  const names = await readdir(join(directory, 'checkpoints')).catch((): string[] => []);
  return names
    .flatMap((name) => /^step-(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => b - a);
}

/**
 * Reads a run directory, whatever state it is in: running, finished, interrupted in the middle of a line, or not even
 * begun. Only a folder that is no run at all is refused.
 *
 * @throws SslError `RUN_DIRECTORY`
 */
export async function readRun(directory: string): Promise<RunRecord> {
  const names = await checkIsRun(directory);
  const notes: string[] = [];
  const metrics = await readMetrics(directory);
  const badFiles = await readBadFiles(directory);
  const damagedLines = metrics.damagedLines + badFiles.damagedLines;
  if (damagedLines > 0)
    notes.push(
      `${damagedLines} ${damagedLines === 1 ? 'line' : 'lines'} of the logs could not be read; the others are shown`,
    );

  const checkpointSteps = await stepsOfCheckpoints(directory);
  const newest = checkpointSteps[0];
  const manifest =
    newest === undefined
      ? undefined
      : await readJson(join(directory, 'checkpoints', `step-${newest}`, 'manifest.json'));
  if (newest === undefined) notes.push('no checkpoint has been saved yet');
  else if (manifest === undefined) notes.push(`the manifest of checkpoint step-${newest} cannot be read`);

  const stored = await readJson(join(directory, 'config.json'));
  const inManifest = manifest?.['config'];
  const config = stored ?? (isRecord(inManifest) ? inManifest : undefined);
  if (stored === undefined) {
    notes.push(
      `config.json ${names.includes('config.json') ? 'cannot be read' : 'is missing'}${config === undefined ? '' : '; the configuration is that of the checkpoint'}`,
    );
  }

  const records = mergedBySteps(metrics.records);
  if (records.length === 0) notes.push('no metrics have been recorded yet');
  const lastStep = Math.max(records[records.length - 1]?.step ?? 0, newest ?? 0);
  const totalSteps = numberAt(config, 'resolved.totalSteps') ?? numberAt(config, 'length.steps');
  const state = (await isRunHeld(directory))
    ? 'running'
    : totalSteps !== undefined && lastStep >= totalSteps
      ? 'finished'
      : 'stopped';
  return {
    directory,
    name: basename(resolve(directory)),
    state,
    config,
    records,
    totalSteps,
    lastStep,
    badFiles: badFiles.records,
    damagedLines,
    checkpointSteps,
    manifest,
    notes,
  };
}
