import { evalTransform, type EvalTransformOptions } from '@selfsup/augment-multicrop';
import { SslError } from '@selfsup/core';
import type { Dataset } from '@selfsup/datasets';
import { decode } from '@selfsup/datasets/decode';
import type { FeatureExtractor } from './feature-extractor.js';

/** Features `[rows, width]` of the images that could be read, with their labels and indices into the data set. */
export interface DatasetFeatures {
  readonly shape: readonly [number, number];
  readonly data: Float32Array;
  /** -1 where a sample has no label. */
  readonly labels: Int32Array;
  readonly indices: Int32Array;
  /** Names of the files that could not be read. */
  readonly bad: readonly string[];
}

/** Pictures below this size are taken whole: there is no margin to spare. */
const SMALL_IMAGE = 64;

/**
 * How pictures are prepared for evaluation: short side 256, centre 224, as published, in proportion for other sizes;
 * small pictures are taken whole.
 */
export function evaluationTransform(imageSize: number): EvalTransformOptions {
  const resize = imageSize <= SMALL_IMAGE ? imageSize : Math.round((imageSize * 256) / 224);
  return { resize, crop: imageSize };
}

/** Prepared pictures of a data set, decoded a few at a time, in order; unreadable ones are left out and named. */
export async function* evaluationImages(
  dataset: Dataset,
  imageSize: number,
  batchSize: number,
): AsyncGenerator<{ readonly pixels: Uint8Array; readonly indices: number[]; readonly bad: string[] }> {
  const transform = evaluationTransform(imageSize);
  const bytes = imageSize * imageSize * 3;
  const prepare = async (index: number): Promise<Uint8Array | string> => {
    try {
      return evalTransform(await decode(dataset.source(index)), transform).data;
    } catch (error) {
      if (SslError.is(error)) return dataset.name(index);
      throw error;
    }
  };
  for (let from = 0; from < dataset.size; from += batchSize) {
    const wanted = Array.from({ length: Math.min(batchSize, dataset.size - from) }, (_, i) => from + i);
    const prepared = await Promise.all(wanted.map(prepare));
    const good = wanted.filter((_, i) => typeof prepared[i] !== 'string');
    const pixels = new Uint8Array(good.length * bytes);
    good.forEach((index, row) => pixels.set(prepared[index - from] as Uint8Array, row * bytes));
    yield { pixels, indices: good, bad: prepared.filter((p) => typeof p === 'string') };
  }
}

/**
 * CLS features of a whole data set.
 *
 * @throws SslError `DATA_EMPTY` when no picture could be read
 */
export async function datasetFeatures(
  extractor: FeatureExtractor,
  dataset: Dataset,
  imageSize: number,
  onProgress: (done: number, total: number) => void = () => undefined,
): Promise<DatasetFeatures> {
  const { width, batchSize } = extractor;
  const data = new Float32Array(dataset.size * width);
  const indices: number[] = [];
  const bad: string[] = [];
  for await (const batch of evaluationImages(dataset, imageSize, batchSize)) {
    if (batch.indices.length > 0) data.set(await extractor.extract(batch.pixels), indices.length * width);
    indices.push(...batch.indices);
    bad.push(...batch.bad);
    onProgress(indices.length + bad.length, dataset.size);
  }
  if (indices.length === 0) {
    throw new SslError('DATA_EMPTY', {
      where: 'recipes.datasetFeatures',
      expected: 'at least one readable picture',
      got: `${bad.length} unreadable files`,
      fix: 'check the data folder',
      details: { bad: bad.slice(0, 20) },
    });
  }
  return {
    shape: [indices.length, width],
    data: data.subarray(0, indices.length * width),
    labels: Int32Array.from(indices, (i) => dataset.label(i) ?? -1),
    indices: Int32Array.from(indices),
    bad,
  };
}

/** Raw pixels of a whole data set as features in 0..1: the baseline that needs no training. */
export async function pixelFeatures(dataset: Dataset, imageSize: number): Promise<DatasetFeatures> {
  const bytes = imageSize * imageSize * 3;
  const raw: FeatureExtractor = {
    batchSize: 64,
    width: bytes,
    extract: (images) => Promise.resolve(Float32Array.from(images, (v) => v / 255)),
    dispose: () => Promise.resolve(),
  };
  return datasetFeatures(raw, dataset, imageSize);
}
