import type { Dataset } from '@selfsup/datasets';
import { nearestNeighbours } from '@selfsup/eval-suite';
import { datasetFeatures, type FeatureExtractor } from '@selfsup/recipes';

/** A picture of the bank. */
export interface Neighbour {
  /** Index into the bank. */
  readonly index: number;
  readonly name: string;
  /** Cosine of the features, at most 1. */
  readonly similarity: number;
}

export interface FindOptions {
  readonly extractor: FeatureExtractor;
  readonly imageSize: number;
  /** `[S, S, 3]` bytes each, prepared. */
  readonly queries: readonly Uint8Array[];
  readonly bank: Dataset;
  /** Neighbours for each query. */
  readonly k: number;
  /** Whether a picture of the bank may stand for a query; the query itself may not. */
  readonly accept?: (query: number, index: number) => boolean;
  readonly onProgress?: (done: number, total: number) => void;
}

/** The pictures of a bank whose features are most like those of each query, the most alike first. */
export async function findNeighbours(options: FindOptions): Promise<Neighbour[][]> {
  const { extractor, imageSize, queries, bank, k, accept = () => true, onProgress } = options;
  const { width, batchSize } = extractor;
  const bytes = imageSize * imageSize * 3;
  const rows = new Float32Array(queries.length * width);
  for (let from = 0; from < queries.length; from += batchSize) {
    const part = queries.slice(from, from + batchSize);
    const pixels = new Uint8Array(part.length * bytes);
    part.forEach((query, i) => pixels.set(query, i * bytes));
    rows.set(await extractor.extract(pixels), from * width);
  }
  const features = await datasetFeatures(extractor, bank, imageSize, onProgress);
  // One more than wanted: the query itself may be among them.
  const near = await nearestNeighbours({ shape: [queries.length, width], data: rows }, features, k + 1);
  return queries.map((_, query) =>
    Array.from({ length: near.k }, (__, i) => query * near.k + i)
      .map((at) => ({ index: features.indices[near.indices[at]], similarity: near.similarities[at] }))
      .filter(({ index }) => accept(query, index))
      .slice(0, k)
      .map(({ index, similarity }) => ({ index, similarity, name: bank.name(index) })),
  );
}
