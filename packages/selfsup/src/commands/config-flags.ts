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

/** Preset, then `--config`, then flags, then `--set`. */
export async function configFromFlags(flags: ConfigFlags): Promise<{ config: RecipeConfig; source: string }> {
  const file = flags.config === undefined ? {} : await readJson(flags.config);
  const stored = Object.fromEntries(Object.entries(file).filter(([key]) => !RESOLVED_ONLY.has(key)));
  const preset = flags.preset ?? (typeof file['preset'] === 'string' ? file['preset'] : undefined);
  const fromFlags: Overrides = {
    ...(flags.arch === undefined ? {} : { arch: flags.arch }),
    ...(flags.steps === undefined ? {} : { length: { steps: flags.steps } }),
    ...(flags.batchSize === undefined ? {} : { batchSize: flags.batchSize }),
    ...(flags.groups === undefined ? {} : { groups: flags.groups }),
    ...(flags.accumulate === undefined ? {} : { accumulate: flags.accumulate }),
    ...(flags.seed === undefined ? {} : { seed: flags.seed }),
  };
  const single = (flags.set ?? []).map((text) => parseAssignment('selfsup.set', text));
  return resolveConfig({ recipe: flags.recipe, preset, overrides: [stored, fromFlags, ...single] });
}
