import { SslError } from '@selfsup/core';
import { type Features, featureSizes, firstNonFinite, nonFiniteFeature } from './features.js';
import { type MatrixProduct, tfjsMatrixProduct } from './matrix-product.js';
import { TopK } from './top-k.js';

/** `cosine` brings every row to unit length first; `dot-product` takes features as they are. */
export type Similarity = 'cosine' | 'dot-product';

/** Rows of queries and of the bank that are compared at once, if not told otherwise. */
export const DEFAULT_BLOCK_SIZE = 1024;

/** How neighbours are looked for. */
export interface NeighbourOptions {
  /** Default `cosine`. */
  readonly similarity?: Similarity;
  /** Rows compared at once: memory for `blockSize * blockSize` numbers. Default {@link DEFAULT_BLOCK_SIZE}. */
  readonly blockSize?: number;
  /** Default: tfjs on the current backend. */
  readonly matmul?: MatrixProduct;
}

/** The nearest rows of a bank for every query, the nearest first; equal ones by lower index. */
export interface Neighbours {
  /** Rows of the bank, `[queries, k]`. */
  readonly indices: Int32Array;
  /** Their similarities, `[queries, k]`. */
  readonly similarities: Float32Array;
  /** Neighbours per query: what was asked for, or the size of the bank if that is smaller. */
  readonly k: number;
}

function checkPositiveInteger(where: string, name: string, value: number): void {
  if (Number.isInteger(value) && value > 0) return;
  throw new SslError('BAD_OPTION', {
    where,
    expected: `${name}, a positive integer`,
    got: String(value),
    fix: `pass ${name} of 1 or more`,
  });
}

/** Rows [from, to) as float32, of unit length for `cosine`; a row of zeros stays one. */
function blockOf(name: string, features: Features, from: number, to: number, similarity: Similarity): Float32Array {
  const width = features.shape[1];
  const bad = firstNonFinite(features.data, from * width, to * width);
  if (bad >= 0) {
    const row = Math.floor(bad / width);
    throw nonFiniteFeature('eval-suite.nearestNeighbours', name, row, features.data[bad]);
  }
  const block = Float32Array.from(features.data.subarray(from * width, to * width));
  if (similarity === 'dot-product') return block;
  for (let start = 0; start < block.length; start += width) {
    let squares = 0;
    for (let i = start; i < start + width; i++) squares += block[i] * block[i];
    const scale = squares === 0 ? 0 : 1 / Math.sqrt(squares);
    for (let i = start; i < start + width; i++) block[i] *= scale;
  }
  return block;
}

/**
 * The k nearest rows of a bank for every query, by blocked matrix products: the full matrix of similarities never
 * exists. Takes memory for `queries * k` neighbours and a block.
 *
 * @param queries - `[rows, width]`
 * @param bank - `[rows, width]` of the same width
 * @param k - Neighbours per query; more than the bank holds gives all of it.
 * @throws SslError `SHAPE_MISMATCH`, `DATA_EMPTY`, `BAD_OPTION`, `NON_FINITE` for NaN or infinite features
 *
 * @example
 * const { indices } = await nearestNeighbours(heldOut, gallery, 5);
 */
export async function nearestNeighbours(
  queries: Features,
  bank: Features,
  k: number,
  options: NeighbourOptions = {},
): Promise<Neighbours> {
  const where = 'eval-suite.nearestNeighbours';
  const { similarity = 'cosine', blockSize = DEFAULT_BLOCK_SIZE, matmul = tfjsMatrixProduct } = options;
  const { rows, width } = featureSizes(where, 'queries', queries);
  const { rows: bankRows, width: bankWidth } = featureSizes(where, 'bank', bank);
  checkPositiveInteger(where, 'k', k);
  checkPositiveInteger(where, 'blockSize', blockSize);
  if (width !== bankWidth) {
    throw new SslError('SHAPE_MISMATCH', {
      where,
      expected: 'queries and bank of one width',
      got: `${width} and ${bankWidth}`,
      fix: 'extract both with the same model and layer',
    });
  }
  const best = new TopK(rows, Math.min(k, bankRows));
  for (let bankStart = 0; bankStart < bankRows; bankStart += blockSize) {
    const bankEnd = Math.min(bankStart + blockSize, bankRows);
    const bankBlock = blockOf('bank features', bank, bankStart, bankEnd, similarity);
    const columns = bankEnd - bankStart;
    for (let start = 0; start < rows; start += blockSize) {
      const end = Math.min(start + blockSize, rows);
      const block = blockOf('query features', queries, start, end, similarity);
      const products = await matmul(block, bankBlock, { rows: end - start, columns, width });
      for (let row = start; row < end; row++) {
        const base = (row - start) * columns;
        for (let j = 0; j < columns; j++) best.offer(row, bankStart + j, products[base + j]);
      }
    }
  }
  const { indices, values } = best.finish();
  return { indices, similarities: values, k: best.k };
}
