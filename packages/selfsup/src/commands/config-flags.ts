import { readFile } from 'node:fs/promises';
import { parseAssignment, resolveConfig, type Overrides, type RecipeConfig } from '@selfsup/recipes';
import { SslError } from '@selfsup/core';

/** Flags that set a configuration. */
export interface ConfigFlags {
  readonly recipe: string;
  readonly preset?: string;
  readonly config?: string;
  readonly set?: readonly string[];
  readonly arch?: string;
  readonly steps?: number;
  readonly batchSize?: number;
  readonly groups?: number;
  readonly accumulate?: number;
  readonly seed?: number;
  readonly devices?: number;
  readonly probeEvery?: number;
  readonly probeImages?: number;
  readonly maxBadFraction?: number;
  /** Frozen teacher of `distill`. */
  readonly teacher?: string;
  /** Goes on with a run: the teacher may have moved, but not have changed. */
  readonly resume?: boolean;
}

async function readJson(path: string): Promise<Overrides> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Overrides;
    throw new Error('no JSON object');
  } catch (cause) {
    throw new SslError('BAD_OPTION', {
      where: 'selfsup.config',
      expected: 'a JSON file with settings',
      got: `${path} (${cause instanceof Error ? cause.message : String(cause)})`,
      fix: 'pass a file such as the config.json of a run',
      cause,
    });
  }
}

/** Keys only a resolved configuration has; ignored when one is passed back as `--config`. */
const RESOLVED_ONLY = new Set(['recipe', 'preset', 'resolved', 'environment']);

function probeFlags({ probeEvery: everySteps, probeImages: images }: ConfigFlags): Overrides {
  const probe = {
    ...(everySteps === undefined ? {} : { everySteps }),
    ...(images === undefined ? {} : { images }),
  };
  return Object.keys(probe).length === 0 ? {} : { probe };
}

/** Devices that share a batch compute all rows of stochastic depth: nothing has to move between them. */
function deviceFlag({ recipe, resume, devices = 1 }: ConfigFlags): Overrides {
  const hasSubsets = recipe === 'dinov2' || recipe === 'simdinov2';
  if (!hasSubsets || (devices === 1 && resume !== true)) return {};
  return { backbone: { dropPathRows: devices > 1 ? 'all' : 'chosen' } };
}

/** What names a teacher: another run may start from other weights than the file of settings knows. */
function teacherFlag({ recipe, teacher, resume }: ConfigFlags): Overrides {
  if (teacher === undefined) return {};
  if (recipe === 'distill') return { teacher: { path: teacher, ...(resume === true ? {} : { sha256: '' }) } };
  throw new SslError('BAD_OPTION', {
    where: 'selfsup.teacher',
    expected: '--teacher with the recipe distill alone',
    got: `--teacher ${teacher} with ${recipe}`,
    fix: `leave --teacher out, or train distill instead of ${recipe}; to start ${recipe} from given weights, use --init`,
  });
}

const settingsOf = (file: Overrides): Overrides =>
  Object.fromEntries(Object.entries(file).filter(([key]) => !RESOLVED_ONLY.has(key)));

/** Preset, then the settings of the run that is resumed, then `--config`, then flags, then `--set`. */
export async function configFromFlags(
  flags: ConfigFlags,
  stored: Overrides = {},
): Promise<{ config: RecipeConfig; source: string }> {
  const file = flags.config === undefined ? {} : await readJson(flags.config);
  const named = [flags.preset, stored['preset'], file['preset']].find((name) => typeof name === 'string');
  const fromFlags: Overrides = {
    ...(flags.arch === undefined ? {} : { arch: flags.arch }),
    ...(flags.steps === undefined ? {} : { length: { steps: flags.steps } }),
    ...(flags.batchSize === undefined ? {} : { batchSize: flags.batchSize }),
    ...(flags.groups === undefined ? {} : { groups: flags.groups }),
    ...(flags.accumulate === undefined ? {} : { accumulate: flags.accumulate }),
    ...(flags.seed === undefined ? {} : { seed: flags.seed }),
    ...(flags.maxBadFraction === undefined ? {} : { maxBadFraction: flags.maxBadFraction }),
    ...deviceFlag(flags),
    ...probeFlags(flags),
    ...teacherFlag(flags),
  };
  const single = (flags.set ?? []).map((text) => parseAssignment('selfsup.set', text));
  return resolveConfig({
    recipe: flags.recipe,
    preset: named as string | undefined,
    overrides: [settingsOf(stored), settingsOf(file), fromFlags, ...single],
  });
}
