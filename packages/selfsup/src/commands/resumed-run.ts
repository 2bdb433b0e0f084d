import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadCheckpoint } from '@selfsup/checkpoint';
import { SslError } from '@selfsup/core';
import type { RecipeConfig } from '@selfsup/recipes';
import { inOneLine, isRecord, leaves, valueAt, type Json } from '../report/json-values.js';

/** A run to go on with, as its folder has it. */
export interface StoredRun {
  /** Its `config.json`; its settings hold unless flags say otherwise. */
  readonly settings: Json;
  /** Steps of its last checkpoint; 0 before the first. */
  readonly step: number;
}

/** Settings that were others up to a step: a value in one line by path. */
export interface SettingChange {
  readonly untilStep: number;
  readonly settings: Readonly<Record<string, string>>;
}

function parsedSettings(path: string, text: string): Json {
  try {
    const value: unknown = JSON.parse(text);
    if (isRecord(value)) return value;
    throw new Error('no JSON object');
  } catch (cause) {
    throw new SslError('RUN_DIRECTORY', {
      where: 'selfsup.resume',
      expected: `the settings of a run in ${path}`,
      got: 'a file that is no JSON object',
      fix: 'put back what was there, or start a new run with --init and the old folder',
      details: { path },
      cause,
    });
  }
}

/**
 * The run to resume; undefined where there is none, which `openRun` puts into words.
 *
 * @throws SslError `BAD_OPTION` for a run of another recipe or preset, `RUN_DIRECTORY`, `CHECKPOINT_UNREADABLE`
 */
export async function storedRun(out: string, recipe: string, preset?: string): Promise<StoredRun | undefined> {
  const path = join(out, 'config.json');
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const settings = parsedSettings(path, text);
  for (const [what, asked, stored] of [
    ['recipe', recipe, settings['recipe']],
    ['preset', preset, settings['preset']],
  ] as const) {
    if (asked === undefined || asked === stored) continue;
    throw new SslError('BAD_OPTION', {
      where: 'selfsup.resume',
      expected: `a run of the ${what} ${asked} in ${out}`,
      got: `a run of ${String(stored)}`,
      fix:
        what === 'recipe'
          ? `resume it with: selfsup train ${String(stored)} --resume --out ${out}, or choose another --out`
          : 'leave --preset out, a run keeps its settings; or choose another --out',
      details: { out, [what]: asked, stored },
    });
  }
  try {
    const { manifest } = await loadCheckpoint(out);
    return { settings, step: manifest?.step ?? 0 };
  } catch (error) {
    // Killed before its first checkpoint: openRun starts it anew.
    if (SslError.is(error) && error.code === 'CHECKPOINT_UNREADABLE') return { settings, step: 0 };
    throw error;
  }
}

/** Where the first step's weights came from; undefined for random ones. */
export function storedInit({ settings }: StoredRun): { path: string; part: 'backbone' | 'all' } | undefined {
  const [path, part] = ['resolved.init', 'resolved.initPart'].map((at) => valueAt(settings, at));
  return typeof path === 'string' ? { path, part: part === 'all' ? 'all' : 'backbone' } : undefined;
}

/** Folder of the pictures it was trained on. */
export function storedData(run: StoredRun | undefined): string | undefined {
  const data = valueAt(run?.settings, 'resolved.data');
  return typeof data === 'string' ? data : undefined;
}

/** How its matrix products were computed; float32 where there is no run. */
export function storedPrecision(run: StoredRun | undefined): 'f32' | 'bf16' {
  return valueAt(run?.settings, 'resolved.precision') === 'bf16' ? 'bf16' : 'f32';
}

/** Settings that can't be told from a run that was never interrupted. */
const KEPT_ELSEWHERE = ['resolved', 'environment', 'preset', 'log', 'probe', 'accumulate', 'maxBadFraction'];

const bySettings = (config: Json): Map<string, string> =>
  new Map(
    leaves(config)
      .filter(([path]) => !KEPT_ELSEWHERE.includes(path.split('.')[0]))
      .map(([path, value]) => [path, inOneLine(value)]),
  );

/** What a resumed run was told so far to do otherwise, and what it is told now; earlier changes first. */
export function settingChanges(
  run: StoredRun,
  config: RecipeConfig,
  precision: string,
): { changes: readonly SettingChange[]; now: readonly string[] } {
  const stored = valueAt(run.settings, 'resolved.changes');
  const earlier = Array.isArray(stored) ? (stored as SettingChange[]) : [];
  // Before the first checkpoint nothing was done under the old settings.
  if (run.step === 0) return { changes: earlier, now: [] };
  const [before, after] = [bySettings(run.settings), bySettings(config as unknown as Json)];
  before.set('precision', storedPrecision(run));
  after.set('precision', precision);
  const changed = [...new Set([...before.keys(), ...after.keys()])].filter((p) => before.get(p) !== after.get(p));
  if (changed.length === 0) return { changes: earlier, now: [] };
  const settings = Object.fromEntries(changed.map((path) => [path, before.get(path) ?? 'not set']));
  return {
    changes: [...earlier, { untilStep: run.step, settings }],
    now: changed.map((path) => `${path} ${settings[path]} -> ${after.get(path) ?? 'not set'}`),
  };
}
