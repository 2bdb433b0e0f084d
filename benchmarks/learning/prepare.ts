// Writes down a run for either side: settings, start weights, where to evaluate.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { vitConfig, type VitConfig } from '@selfsup/backbone-vit';
import { writeSafetensors } from '@selfsup/checkpoint';
import { openDataset } from '@selfsup/datasets';
import { recipeOf, runLength, type RecipeConfig } from '@selfsup/recipes';
import { EVALUATE_EVERY, NEIGHBOURS, VOTE_TEMPERATURE } from './plan.js';

/** What both sides read. */
export interface RunFile {
  readonly config: RecipeConfig;
  /** The architecture with nothing left out: the reference knows no names of ours. */
  readonly vit: VitConfig;
  readonly stepsPerEpoch: number;
  /** Safetensors file with the start weights of student and teacher. */
  readonly weights: string;
  readonly data: string;
  readonly evaluateEvery: number;
  readonly k: number;
  readonly temperature: number;
  readonly threads: number;
  /** Folder of stored batches; then losses on these are wanted, and no evaluation. */
  readonly batches?: string;
}

/** Writes `run.json` and the start weights into a folder. @returns path of `run.json` */
export async function writeRun(
  folder: string,
  config: RecipeConfig,
  { data, threads, batches }: { data: string; threads: number; batches?: string },
): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const weights = join(folder, 'start.safetensors');
  await writeSafetensors(weights, recipeOf(config).networks.init(config.seed));
  const { stepsPerEpoch } = runLength(config, (await openDataset(data, { split: 'train' })).size);
  const run: RunFile = {
    config,
    vit: vitConfig(config.arch, config.backbone),
    stepsPerEpoch,
    weights,
    data,
    evaluateEvery: EVALUATE_EVERY,
    k: NEIGHBOURS,
    temperature: VOTE_TEMPERATURE,
    threads,
    ...(batches === undefined ? {} : { batches }),
  };
  const path = join(folder, 'run.json');
  writeFileSync(path, JSON.stringify(run, undefined, 2));
  return path;
}
