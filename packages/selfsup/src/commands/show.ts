import { join, resolve } from 'node:path';
import type { Engine } from '@selfsup/compile';
import { SslError, type HostArrays } from '@selfsup/core';
import { openDataset, type Dataset } from '@selfsup/datasets';
import { decode } from '@selfsup/datasets/decode';
import {
  featureExtractor,
  fixedSelection,
  loadBackbone,
  resolveConfig,
  subsetOf,
  type LoadedBackbone,
  type RecipeConfig,
} from '@selfsup/recipes';
import { loadCheckpoint } from '@selfsup/checkpoint';
import { chooseEngine, type EngineChoice } from '../engines.js';
import { curvesOf } from '../report/curves.js';
import { readRun } from '../report/run-record.js';
import { attentionMaps } from '../show/attention-maps.js';
import { attentionPicture } from '../show/attention-picture.js';
import { contactSheet } from '../show/contact-sheet.js';
import { dynamicsPicture, dynamicsSvg } from '../show/dynamics-picture.js';
import { findNeighbours } from '../show/find-neighbours.js';
import { neighbourPicture } from '../show/neighbour-picture.js';
import { loadPictures, outputNames, prepared, type LoadedPictures } from '../show/pictures.js';
import { makeOutputFolder, writeWhole } from '../show/write-file.js';
import type { Output } from '../terminal/output.js';
import { createProgress } from '../terminal/progress.js';

interface ShowFlags {
  /** Folder for the pictures. */
  readonly out: string;
}

interface ImageFlags extends ShowFlags {
  readonly images: readonly string[];
}

interface NetworkFlags extends ImageFlags, EngineChoice {
  readonly checkpoint: string;
}

export interface ShowNeighboursFlags extends NetworkFlags {
  readonly data: string;
  readonly k: number;
  readonly limit: number;
}

export interface ShowAttentionFlags extends NetworkFlags {
  readonly imageSize?: number;
}

export interface ShowDynamicsFlags extends ShowFlags {
  readonly checkpoint: string;
  readonly svg?: boolean;
}

export interface ShowAugmentFlags extends ImageFlags {
  readonly checkpoint?: string;
  readonly recipe: string;
  readonly preset?: string;
  readonly draws: number;
  readonly seed?: number;
}

const FEATURE_BATCH = 32;
const QUERY_TILE = 88;

/** Loads a backbone and an engine, hands them over, and tidies the engine away. */
async function withBackbone(
  flags: NetworkFlags,
  output: Output,
  work: (loaded: LoadedBackbone, weights: HostArrays, engine: Engine) => Promise<void>,
): Promise<void> {
  const loaded = await loadBackbone(flags.checkpoint);
  for (const note of loaded.notes) output.note(note);
  const weights = Object.fromEntries(Object.entries(loaded.weights).map(([name, { data }]) => [name, data]));
  const engine = await chooseEngine(flags);
  try {
    await work(loaded, weights, engine);
  } finally {
    await engine.dispose();
  }
}

async function load(flags: ImageFlags, output: Output): Promise<LoadedPictures> {
  const loaded = await loadPictures(flags.images);
  for (const { path, reason } of loaded.skipped) output.note(`skipped ${path}: ${reason}`);
  return loaded;
}

/** Tells what was written. */
function finish(output: Output, files: readonly string[], facts: Record<string, unknown>): void {
  output.result({ files, ...facts }, files.map((file) => `wrote ${file}`).join('\n'));
}

const describe = ({ from, step }: LoadedBackbone): string =>
  `${from}${step === undefined ? '' : ` after ${step} steps`}`;

/** `selfsup show neighbours`: the pictures of a folder that a network finds most like the given ones. */
export async function showNeighbours(flags: ShowNeighboursFlags, output: Output): Promise<void> {
  const { pictures, skipped } = await load(flags, output);
  const dataset = await openDataset(flags.data);
  const bank = subsetOf(dataset, fixedSelection(dataset.size, flags.limit));
  await makeOutputFolder(flags.out);
  await withBackbone(flags, output, async (loaded, weights, engine) => {
    const { backbone } = loaded;
    const { imageSize } = backbone.config;
    const extractor = await featureExtractor({ engine, backbone, weights, batchSize: FEATURE_BATCH });
    const queries = pictures.map(({ image }) => prepared(image, imageSize));
    const progress = createProgress({ label: 'features', total: bank.size });
    const found = await findNeighbours({
      extractor,
      imageSize,
      bank,
      queries: queries.map(({ data }) => data),
      k: flags.k,
      accept: (query, index) => !isSameFile(bank, index, pictures[query].path),
      onProgress: (done) => progress.update(done),
    }).finally(() => progress.finish());
    await extractor.dispose();
    const rows = await Promise.all(
      queries.map(async (query, q) => ({
        query,
        groups: [
          await Promise.all(
            found[q].map(async ({ index }) => ({ image: prepared(await decode(bank.source(index)), imageSize) })),
          ),
        ],
      })),
    );
    const file = join(flags.out, 'neighbours.png');
    const groups = [`nearest of ${bank.size} pictures (${describe(loaded)})`];
    await writeWhole(file, await neighbourPicture(rows, { groups }, QUERY_TILE));
    const label = (index: number): string | undefined => {
      const at = bank.label(index);
      return at === undefined ? undefined : dataset.classes?.[at];
    };
    finish(output, [file], {
      neighbours: pictures.map(({ path }, q) => ({
        image: path,
        nearest: found[q].map(({ index, name, similarity }) => ({ name, label: label(index), similarity })),
      })),
      bank: bank.size,
      skipped,
    });
  });
}

function isSameFile(bank: Dataset, index: number, path: string): boolean {
  const source = bank.source(index);
  return source.kind === 'file' && resolve(source.path) === resolve(path);
}

/** `selfsup show attention`: what the CLS token looks at in the last block, head by head. */
export async function showAttention(flags: ShowAttentionFlags, output: Output): Promise<void> {
  const { pictures, skipped } = await load(flags, output);
  await makeOutputFolder(flags.out);
  await withBackbone(flags, output, async (loaded, weights, engine) => {
    const { backbone } = loaded;
    const imageSize = sizeInPatches(flags.imageSize ?? backbone.config.imageSize, backbone.config.patchSize);
    const maps = await attentionMaps(engine, backbone, weights, imageSize);
    const names = outputNames(
      'attention',
      pictures.map(({ path }) => path),
    );
    const files: string[] = [];
    for (const [i, { path, image }] of pictures.entries()) {
      const seen = prepared(image, imageSize);
      const file = join(flags.out, names[i]);
      await writeWhole(file, await attentionPicture(seen, await maps.of(seen.data), `${path} (${describe(loaded)})`));
      files.push(file);
    }
    await maps.dispose();
    finish(output, files, { imageSize, heads: backbone.config.heads, skipped });
  });
}

function sizeInPatches(size: number, patch: number): number {
  if (size % patch === 0) return size;
  throw new SslError('BAD_OPTION', {
    where: 'selfsup.show',
    expected: `--image-size divisible by the patch (${patch})`,
    got: `${size}`,
    fix: `use --image-size ${Math.max(1, Math.round(size / patch)) * patch}`,
    details: { size, patch },
  });
}

/** `selfsup show dynamics`: the curves of a run. */
export async function showDynamics(flags: ShowDynamicsFlags, output: Output): Promise<void> {
  const run = await readRun(flags.checkpoint);
  for (const note of run.notes) output.note(note);
  const curves = curvesOf(run);
  if (curves.length === 0) {
    throw new SslError('BAD_DATA', {
      where: 'selfsup.show',
      expected: 'a run with recorded metrics',
      got: `${flags.checkpoint}, whose metrics.jsonl has none yet`,
      fix: 'wait until the run has done its first step',
      details: { path: flags.checkpoint },
    });
  }
  await makeOutputFolder(flags.out);
  const total = run.totalSteps === undefined ? '' : ` of ${run.totalSteps}`;
  const title = `${run.name}, step ${run.lastStep}${total}`;
  const file = join(flags.out, flags.svg === true ? 'dynamics.svg' : 'dynamics.png');
  await writeWhole(file, flags.svg === true ? dynamicsSvg(curves, title) : await dynamicsPicture(curves, title));
  finish(output, [file], { curves: curves.map(({ id }) => id), steps: run.lastStep, damagedLines: run.damagedLines });
}

/** Settings the views are drawn with: those of a checkpoint, else of a preset. */
async function augmentConfig({ checkpoint, recipe, preset, seed }: ShowAugmentFlags): Promise<{
  config: Pick<RecipeConfig, 'crops' | 'seed'>;
  name: string;
}> {
  if (checkpoint !== undefined && preset !== undefined) {
    throw new SslError('BAD_OPTION', {
      where: 'selfsup.show',
      expected: 'either --checkpoint or --preset',
      got: 'both',
      fix: 'leave one of them out',
    });
  }
  if (checkpoint === undefined) {
    const { config } = resolveConfig({ recipe, preset });
    return { config: { ...config, seed: seed ?? config.seed }, name: `${recipe}, preset ${config.preset}` };
  }
  const { manifest } = await loadCheckpoint(checkpoint);
  const config = manifest?.config as RecipeConfig | undefined;
  if (config?.crops === undefined) {
    throw new SslError('CHECKPOINT_MISMATCH', {
      where: 'selfsup.show',
      expected: 'a checkpoint that knows its configuration',
      got: `${checkpoint}, which holds weights alone`,
      fix: 'pass a run directory, or --preset',
      details: { path: checkpoint },
    });
  }
  return { config: { ...config, seed: seed ?? config.seed }, name: `views of ${checkpoint}` };
}

/** `selfsup show augment`: the views that training makes of a picture. */
export async function showAugment(flags: ShowAugmentFlags, output: Output): Promise<void> {
  const { config, name } = await augmentConfig(flags);
  const { pictures, skipped } = await load(flags, output);
  await makeOutputFolder(flags.out);
  const names = outputNames(
    'augment',
    pictures.map(({ path }) => path),
  );
  const files: string[] = [];
  for (const [sample, { image }] of pictures.entries()) {
    const file = join(flags.out, names[sample]);
    const { crops, seed } = config;
    await writeWhole(file, await contactSheet(image, { crops, seed, sample, draws: flags.draws, title: name }));
    files.push(file);
  }
  finish(output, files, { draws: flags.draws, seed: config.seed, skipped });
}
