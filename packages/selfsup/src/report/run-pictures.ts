import { resolve } from 'node:path';
import { SslError, type HostArrays } from '@selfsup/core';
import { openDataset, type Dataset, type RgbImage } from '@selfsup/datasets';
import { decode } from '@selfsup/datasets/decode';
import { featureExtractor, fixedSelection, loadBackbone, subsetOf, type FeatureExtractor } from '@selfsup/recipes';
import type { Vit } from '@selfsup/backbone-vit';
import { chooseEngine, type EngineChoice } from '../engines.js';
import { attentionMaps } from '../show/attention-maps.js';
import { findNeighbours } from '../show/find-neighbours.js';
import type { PatchValues } from '../show/heat-map.js';
import { prepared } from '../show/pictures.js';
import { textAt } from './json-values.js';
import type { RunRecord } from './run-record.js';

/** A picture with its name and class. */
export interface NamedPicture {
  /** As the network sees it, square. */
  readonly image: RgbImage;
  readonly name: string;
  readonly label?: string;
}

/** What a network makes of a few pictures. */
export interface RunPictures {
  readonly neighbours: readonly {
    readonly query: NamedPicture;
    readonly nearest: readonly (NamedPicture & { readonly same?: boolean; readonly similarity: number })[];
  }[];
  readonly attention: readonly { readonly picture: NamedPicture; readonly heads: readonly PatchValues[] }[];
  /** Where all this comes from, in words. */
  readonly source: {
    readonly network: string;
    readonly step: number | undefined;
    readonly data: string;
    /** Pictures the neighbours were looked for in. */
    readonly bank: number;
    /** What there is to say about the checkpoint, e.g. that the newest was damaged. */
    readonly notes: readonly string[];
  };
}

export interface RunPictureOptions extends EngineChoice {
  /** Instead of the folder the run was trained on. */
  readonly data?: string;
  readonly onProgress?: (done: number, total: number) => void;
  /** Told what takes a while. */
  readonly onNote?: (text: string) => void;
}

const QUERIES = 8;
const NEIGHBOURS = 5;
const ATTENTION_PICTURES = 4;
const BATCH = 16;

/** Pictures to look for neighbours in: as many as some seconds of work allow, within these bounds. */
const LEAST_BANK = 64;
const MOST_BANK = 1000;
const FLOPS = { onnxruntime: 4e12, others: 3e10 } as const;

/** What `demo` writes in the place of a data folder. */
const EMOJI = 'emoji';

/** Multiplications and additions of a forward pass, roughly. */
function forwardFlops({ imageSize, patchSize, width, depth }: Vit['config']): number {
  const tokens = (imageSize / patchSize) ** 2 + 1;
  return depth * (24 * tokens * width ** 2 + 4 * tokens ** 2 * width);
}

interface Parts {
  /** Pictures to ask about. */
  readonly asked: Dataset;
  readonly bank: Dataset;
  /** Whether both are the same pictures, so that each would find itself. */
  readonly shared: boolean;
}

/** The held-out pictures and the others; data without a held-out part stands for both. */
async function openParts(data: string, imageSize: number, onNote: RunPictureOptions['onNote']): Promise<Parts> {
  if (data === EMOJI) {
    onNote?.('drawing the emoji of the demo');
    const { loadEmoji } = await import('../demo/emoji.js');
    const { train, test } = await loadEmoji(imageSize);
    return { asked: test, bank: train, shared: false };
  }
  const bank = await openDataset(data, { split: 'train' });
  const shared = bank.split === 'all';
  return { asked: shared ? bank : await openDataset(data, { split: 'test' }), bank, shared };
}

async function named(dataset: Dataset, index: number, imageSize: number): Promise<NamedPicture> {
  const at = dataset.label(index);
  const label = at === undefined ? undefined : dataset.classes?.[at];
  return {
    image: prepared(await decode(dataset.source(index)), imageSize),
    name: dataset.name(index),
    ...(label === undefined ? {} : { label }),
  };
}

/** Pictures looked at when choosing some of different classes. */
const CANDIDATES = 1000;

/** Indices of fixed pictures, as many different classes as possible first. */
function candidates(dataset: Dataset): number[] {
  const drawn = fixedSelection(dataset.size, CANDIDATES);
  const seen = new Set<number | undefined>();
  const fresh = drawn.filter((index) => {
    const label = dataset.label(index);
    if (label !== undefined && seen.has(label)) return false;
    seen.add(label);
    return true;
  });
  const chosen = new Set(fresh);
  return [...fresh, ...drawn.filter((index) => !chosen.has(index))];
}

/** A few pictures that can be read: the same ones for every report on the same data. */
async function fixedPictures(
  dataset: Dataset,
  imageSize: number,
): Promise<{ readonly index: number; readonly picture: NamedPicture }[]> {
  const found: { index: number; picture: NamedPicture }[] = [];
  for (const index of candidates(dataset).slice(0, 4 * QUERIES)) {
    if (found.length === QUERIES) break;
    try {
      found.push({ index, picture: await named(dataset, index, imageSize) });
    } catch (error) {
      if (!SslError.is(error)) throw error;
    }
  }
  return found;
}

async function neighboursOf(
  { asked, bank, shared }: Parts,
  chosen: Awaited<ReturnType<typeof fixedPictures>>,
  { extractor, most, imageSize }: { extractor: FeatureExtractor; most: number; imageSize: number },
  onProgress: RunPictureOptions['onProgress'],
): Promise<{ rows: RunPictures['neighbours']; bank: number }> {
  const indices = fixedSelection(bank.size, most);
  const subset = subsetOf(bank, indices);
  const found = await findNeighbours({
    extractor,
    imageSize,
    queries: chosen.map(({ picture }) => picture.image.data),
    bank: subset,
    k: NEIGHBOURS,
    accept: (query, index) => !shared || indices[index] !== chosen[query].index,
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  const rows = await Promise.all(
    chosen.map(async ({ index: query, picture }, i) => ({
      query: picture,
      nearest: await Promise.all(
        found[i].map(async ({ index, similarity }) => {
          const label = subset.label(index);
          const same = label === undefined ? undefined : label === asked.label(query);
          return { ...(await named(subset, index, imageSize)), similarity, ...(same === undefined ? {} : { same }) };
        }),
      ),
    })),
  );
  return { rows, bank: indices.length };
}

/**
 * Nearest neighbours and last-layer attention of a few fixed pictures of the data a run was trained on, under its last
 * whole checkpoint.
 *
 * @throws SslError where the checkpoint or the data are missing, and those of the engine
 */
export async function runPictures(run: RunRecord, options: RunPictureOptions = {}): Promise<RunPictures> {
  const data = options.data ?? textAt(run.config, 'resolved.data');
  if (data === undefined) {
    throw new SslError('DATA_MISSING', {
      where: 'selfsup.report',
      expected: 'a run that says what it was trained on',
      got: 'no resolved.data in its configuration',
      fix: 'pass --data',
    });
  }
  const engine = await chooseEngine(options);
  try {
    const { backbone, weights, from, step, notes } = await loadBackbone(run.directory);
    const { imageSize } = backbone.config;
    const parts = await openParts(data, imageSize, options.onNote);
    const arrays: HostArrays = Object.fromEntries(Object.entries(weights).map(([name, tensor]) => [name, tensor.data]));
    const chosen = await fixedPictures(parts.asked, imageSize);
    const budget = engine.name === 'onnxruntime' ? FLOPS.onnxruntime : FLOPS.others;
    const most = Math.max(LEAST_BANK, Math.min(MOST_BANK, Math.floor(budget / forwardFlops(backbone.config))));
    const extractor = await featureExtractor({ engine, backbone, weights: arrays, batchSize: BATCH });
    const near = await neighboursOf(parts, chosen, { extractor, most, imageSize }, options.onProgress);
    await extractor.dispose();

    const maps = await attentionMaps(engine, backbone, arrays);
    const attention: { picture: NamedPicture; heads: PatchValues[] }[] = [];
    for (const { picture } of chosen.slice(0, ATTENTION_PICTURES)) {
      attention.push({ picture, heads: await maps.of(picture.image.data) });
    }
    await maps.dispose();
    return {
      neighbours: near.rows,
      attention,
      source: {
        network: from,
        step,
        data: data === EMOJI ? 'the emoji of the demo' : resolve(data),
        bank: near.bank,
        notes,
      },
    };
  } finally {
    await engine.dispose();
  }
}
