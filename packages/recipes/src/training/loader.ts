import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { allocateCrops, type CropBatch } from '@selfsup/augment-multicrop';
import { createCropPool } from '@selfsup/augment-multicrop/pool';
import { SslError, type HostArrays } from '@selfsup/core';
import { createSampler, createShardedSampler, type Dataset, type Sampler } from '@selfsup/datasets';
import type { RecipeConfig } from '../config/types.js';
import type { Recipe } from './recipe.js';

/** A file that could not be read, for `bad-files.jsonl`. */
export interface BadFile {
  readonly name: string;
  readonly message: string;
}

/** Crops and masks of one step. */
export interface LoadedBatch {
  readonly step: number;
  readonly arrays: HostArrays;
}

/** Batches by step number, some steps ahead of the one being trained. */
export interface BatchLoader {
  readonly stepsPerEpoch: number;
  /** The batch of the next step. @throws SslError `TOO_MANY_BAD_FILES` */
  next(): Promise<LoadedBatch>;
  close(): Promise<void>;
}

export interface LoaderOptions {
  readonly recipe: Pick<Recipe, 'config' | 'draw'>;
  readonly dataset: Dataset;
  /** First step to load. */
  readonly startStep: number;
  /** Threads that decode and augment; 0 for none. */
  readonly workers: number;
  /** Batches kept ready. */
  readonly ahead?: number;
  /** Names of files that were found unreadable before; counted, but neither tried nor reported again. */
  readonly knownBad?: readonly string[];
  readonly onBadFile?: (file: BadFile) => void;
}

/** DINOv2's programs and what was made from them deal the data out to the processes once; DINO's shuffle all of it. */
const samplerOf = ({ batchSize, seed, groups, ...config }: RecipeConfig, size: number): Sampler =>
  'masks' in config
    ? createShardedSampler({ size, batchSize, seed, shards: groups })
    : createSampler({ size, batchSize, seed });

/** Indices of the samples of these names. */
function indicesOf(dataset: Dataset, names: readonly string[]): Set<number> {
  const wanted = new Set(names);
  const found = new Set<number>();
  for (let i = 0; i < dataset.size && wanted.size > 0; i++) if (wanted.has(dataset.name(i))) found.add(i);
  return found;
}

/** The built decoder of `@selfsup/datasets`: workers run plain JavaScript, also when this file runs from its source. */
function decoderModule(): URL {
  const manifest = createRequire(import.meta.url).resolve('@selfsup/datasets/package.json');
  return new URL('./dist/decode.js', pathToFileURL(manifest));
}

/**
 * Decodes and augments in worker threads, a bounded number of steps ahead. What a step sees depends on the seed and the
 * step number alone: not on workers, not on where a run was resumed. An unreadable file is reported once and replaced
 * by the next sample of the data set, with the draws of its own: two rows are never the same views.
 */
export async function createLoader(options: LoaderOptions): Promise<BatchLoader> {
  const { recipe, dataset, startStep, workers, ahead = 2, onBadFile = () => undefined } = options;
  const { config } = recipe;
  const { batchSize, crops, seed } = config;
  const sampler = samplerOf(config, dataset.size);
  const pool = await createCropPool({ decoder: decoderModule(), config: crops, seed, threads: workers });
  const bad = indicesOf(dataset, options.knownBad ?? []);

  const report = (index: number, message: string): void => {
    if (bad.has(index)) return;
    bad.add(index);
    onBadFile({ name: dataset.name(index), message });
    if (bad.size > config.maxBadFraction * dataset.size) {
      throw new SslError('TOO_MANY_BAD_FILES', {
        where: 'recipes.createLoader',
        expected: `at most ${(100 * config.maxBadFraction).toFixed(0)} % unreadable files`,
        got: `${bad.size} of ${dataset.size}, the last being ${dataset.name(index)}`,
        fix: "remove the files listed in the run's bad-files.jsonl, or raise --max-bad-fraction",
        details: { bad: bad.size, size: dataset.size },
      });
    }
  };

  /** Fills one image's rows; goes on to the next sample while files are unreadable. */
  const fill = async (batch: CropBatch, row: number, first: number, epoch: number): Promise<void> => {
    for (let tried = 0; tried < dataset.size; tried++) {
      const index = (first + tried) % dataset.size;
      if (bad.has(index)) continue;
      const { error } = await pool.crops(dataset.source(index), { epoch, sample: first }, { batch, index: row });
      if (error === undefined) return;
      report(index, error.reason ?? error.message);
    }
    throw new SslError('TOO_MANY_BAD_FILES', {
      where: 'recipes.createLoader',
      expected: 'pictures that can be read',
      got: `none among the ${dataset.size} files`,
      fix: 'look at bad-files.jsonl for what is wrong with each',
      details: { size: dataset.size },
    });
  };

  const load = async (step: number): Promise<LoadedBatch> => {
    const { indices, epochs } = sampler.at(step);
    const target = allocateCrops(crops, batchSize);
    await Promise.all(Array.from(indices, (index, row) => fill(target, row, index, epochs[row])));
    const arrays: HostArrays = { 'crops.global': target.global };
    if (crops.local.count > 0) arrays['crops.local'] = target.local;
    return { step, arrays: { ...arrays, ...recipe.draw(step) } };
  };

  let upcoming = startStep;
  const queue: Promise<LoadedBatch>[] = [];
  const refill = (): void => {
    while (queue.length < ahead) {
      const batch = load(upcoming++);
      // The error belongs to whoever asks for this batch; until then it must not count as unhandled.
      batch.catch(() => undefined);
      queue.push(batch);
    }
  };
  return {
    stepsPerEpoch: sampler.stepsPerEpoch,
    async next() {
      refill();
      const batch = await (queue.shift() as Promise<LoadedBatch>);
      refill();
      return batch;
    },
    async close() {
      await Promise.allSettled(queue);
      await pool.close();
    },
  };
}
