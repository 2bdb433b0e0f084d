import '@tensorflow/tfjs';
import { SslError, type SslErrorCode } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { evaluatorContract } from '@selfsup/test-kit';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { type Features, knnClassify, type KnnOptions, nearestNeighbours, tfjsMatrixProduct } from '../../src/index.js';

beforeAll(() => tf.setBackend('cpu'));

const matrix = (rows: number[][]): Features => ({
  shape: [rows.length, rows[0]?.length ?? 2],
  data: Float32Array.from(rows.flat()),
});

async function failure(action: () => Promise<unknown>): Promise<{ code: SslErrorCode; message: string }> {
  try {
    await action();
  } catch (error) {
    if (SslError.is(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

evaluatorContract({
  name: 'k-NN',
  accuracy: async ({ width, trainFeatures, trainLabels, testFeatures, testLabels, classes, blockSize }) => {
    const result = await knnClassify({
      trainFeatures: { shape: [trainLabels.length, width], data: trainFeatures },
      testFeatures: { shape: [testLabels.length, width], data: testFeatures },
      trainLabels,
      testLabels,
      classes,
      blockSize,
    });
    return result.top1;
  },
});

describe('nearestNeighbours', () => {
  it('ranks by cosine, or by dot product', async () => {
    const bank = matrix([
      [1, 0],
      [10, 10],
      [0, 1],
    ]);
    const query = matrix([[2, 0.1]]);
    expect(Array.from((await nearestNeighbours(query, bank, 3)).indices)).toEqual([0, 1, 2]);
    const byProduct = await nearestNeighbours(query, bank, 3, { similarity: 'dot-product' });
    expect(Array.from(byProduct.indices)).toEqual([1, 0, 2]);
    expect(byProduct.similarities).toBeAllclose([21, 2, 0.1]);
  });

  it('ranks equal similarities by lower index, across blocks too', async () => {
    const bank = matrix(Array.from({ length: 9 }, () => [1, 1]));
    for (const blockSize of [1, 2, 4, 100]) {
      const { indices } = await nearestNeighbours(matrix([[1, 1]]), bank, 4, { blockSize });
      expect(Array.from(indices)).toEqual([0, 1, 2, 3]);
    }
  });

  it('gives the whole bank when asked for more', async () => {
    const found = await nearestNeighbours(matrix([[1, 0]]), matrix([[0, 1], [1, 0]]), 7); // prettier-ignore
    expect(found.k).toBe(2);
    expect(Array.from(found.indices)).toEqual([1, 0]);
  });

  it('never makes more than a block of similarities', async () => {
    const rows = Array.from({ length: 10 }, (_, i) => [Math.cos(i), Math.sin(i)]);
    const matmul = vi.fn(tfjsMatrixProduct);
    await nearestNeighbours(matrix(rows), matrix(rows), 3, { blockSize: 4, matmul });
    expect(matmul.mock.calls.length).toBe(9);
    for (const [a, b, sizes] of matmul.mock.calls) {
      expect(a.length).toBe(sizes.rows * sizes.width);
      expect(b.length).toBe(sizes.columns * sizes.width);
      expect(Math.max(sizes.rows, sizes.columns)).toBeLessThanOrEqual(4);
    }
  });

  it('treats a row of zeros as similar to nothing', async () => {
    const { similarities } = await nearestNeighbours(matrix([[0, 0]]), matrix([[1, 0], [0, 0]]), 2); // prettier-ignore
    expect(Array.from(similarities)).toEqual([0, 0]);
  });

  it('takes bytes as features', async () => {
    const bytes: Features = { shape: [2, 2], data: Uint8Array.of(255, 0, 0, 255) };
    expect(Array.from((await nearestNeighbours(bytes, bytes, 1)).indices)).toEqual([0, 1]);
  });

  it('leaves no tensors behind, also when the product fails', async () => {
    const before = tf.memory().numTensors;
    await nearestNeighbours(matrix([[1, 0]]), matrix([[1, 0]]), 1);
    const failing = (): never => {
      throw new Error('out of memory');
    };
    await expect(nearestNeighbours(matrix([[1, 0]]), matrix([[1, 0]]), 1, { matmul: failing })).rejects.toThrow();
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('knnClassify', () => {
  const valid: KnnOptions = {
    trainFeatures: matrix([[1, 0], [0.9, 0.1], [0, 1]]), // prettier-ignore
    trainLabels: [0, 0, 1],
    testFeatures: matrix([[1, 0.1], [0.1, 1]]), // prettier-ignore
    testLabels: [0, 1],
    classes: 2,
  };

  it('reports every k, the headline and the setting', async () => {
    const result = await knnClassify(valid);
    expect(result).toMatchObject({ k: 20, top1: 100, top5: 100 });
    expect(Object.keys(result.byK)).toEqual(['10', '20', '100', '200']);
    expect(result.byK['200']).toEqual({ top1: 100, top5: 100, neighbours: 3 });
    expect(result.setting).toEqual({
      similarity: 'cosine',
      temperature: 0.07,
      weights: 'exp(similarity / temperature)',
      trainRows: 3,
      testRows: 2,
      width: 2,
      classes: 2,
    });
    expect(Array.from(result.predictions)).toEqual([0, 1]);
    expect((await knnClassify({ ...valid, k: [1, 2] })).k).toBe(1);
  });

  it('weighs votes by similarity: one near neighbour beats two far ones', async () => {
    const given: KnnOptions = {
      trainFeatures: matrix([[1, 0], [0.3, 1], [0.3, 1]]), // prettier-ignore
      trainLabels: [0, 1, 1],
      testFeatures: matrix([[1, 0.05]]),
      testLabels: [0],
      classes: 2,
      k: [3],
    };
    expect((await knnClassify(given)).top1).toBe(100);
    expect((await knnClassify({ ...given, temperature: 100 })).top1).toBe(0);
  });

  it('ranks classes without votes by their number', async () => {
    const given: KnnOptions = {
      trainFeatures: matrix([[1, 0]]),
      trainLabels: [9],
      testFeatures: matrix([[1, 0], [1, 0]]), // prettier-ignore
      testLabels: [3, 4],
      classes: 10,
      k: [5],
    };
    expect(await knnClassify(given)).toMatchObject({ top1: 0, top5: 50 });
    // Fewer than five neighbours name fewer than five classes.
    expect(await knnClassify({ ...given, k: [4] })).toMatchObject({ top1: 0, top5: 0 });
  });

  it('works with one class', async () => {
    const one = { ...valid, trainLabels: [0, 0, 0], testLabels: [0, 0], classes: 1 };
    expect(await knnClassify(one)).toMatchObject({ top1: 100, top5: 100 });
  });

  it('does not overflow on large dot products', async () => {
    const scaled = matrix([[1e4, 0], [0, 1e4]]); // prettier-ignore
    const given = { ...valid, trainFeatures: scaled, trainLabels: [0, 1], similarity: 'dot-product' } as const;
    expect((await knnClassify(given)).top1).toBe(100);
  });

  const empty: Features = { shape: [0, 2], data: new Float32Array(0) };
  it.each<[string, Partial<KnnOptions>, SslErrorCode, RegExp]>([
    ['no test rows', { testFeatures: empty, testLabels: [] }, 'DATA_EMPTY', /testFeatures/],
    ['no train rows', { trainFeatures: empty, trainLabels: [] }, 'DATA_EMPTY', /trainFeatures/],
    ['another width', { testFeatures: matrix([[1], [2]]) }, 'SHAPE_MISMATCH', /2.*1|1.*2/], // prettier-ignore
    [
      'a flat array',
      { testFeatures: { shape: [4], data: new Float32Array(4) } },
      'SHAPE_MISMATCH',
      /one row per image/,
    ],
    ['too few labels', { testLabels: [0] }, 'SHAPE_MISMATCH', /2 testLabels, got 1/],
    ['a label beyond the classes', { trainLabels: [0, 1, 2] }, 'BAD_DATA', /from 0 to 1, got 2 at 2/],
    ['a label of -1', { testLabels: [0, -1] }, 'BAD_DATA', /-1 at 1/],
    ['k of 0', { k: [0] }, 'BAD_OPTION', /leave k out/],
    ['no k', { k: [] }, 'BAD_OPTION', /leave k out/],
    ['temperature 0', { temperature: 0 }, 'BAD_OPTION', /leave temperature out/],
    ['block size 0', { blockSize: 0 }, 'BAD_OPTION', /blockSize of 1 or more/],
    ['NaN in a test row', { testFeatures: matrix([[1, 0], [NaN, 1]]) }, 'NON_FINITE', /query features, got NaN in row 1/], // prettier-ignore
    ['Infinity in a train row', { trainFeatures: matrix([[1, 0], [1, 0], [0, Infinity]]) }, 'NON_FINITE', /row 2/], // prettier-ignore
  ])('refuses %s', async (_, wrong, code, message) => {
    const error = await failure(() => knnClassify({ ...valid, ...wrong }));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.message).toContain('Fix: ');
  });
});
