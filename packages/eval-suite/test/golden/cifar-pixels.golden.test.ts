import '@tensorflow/tfjs';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import * as tf from '@tensorflow/tfjs-core';
import { describeWithData } from '@selfsup/test-kit';
import { beforeAll, expect, it } from 'vitest';
import { type Features, knnClassify, nearestNeighbours } from '../../src/index.js';

interface Baseline {
  readonly train_channel_mean_0_1: number[];
  readonly train_channel_std_0_1: number[];
  readonly knn: Record<string, { top1: number; top5: number }>;
}

const PIXELS = 3072;
/** The whole test set takes minutes on tfjs in plain JavaScript; the classes take turns, so any prefix is balanced. */
const TEST_ROWS = 100;
/** Rows whose neighbours are also found in float64, one by one. */
const EXACT_ROWS = 8;

function readRecords(paths: string[]): { labels: Int32Array; bytes: Uint8Array[] } {
  const bytes = paths.flatMap((path) => {
    const file = gunzipSync(readFileSync(path));
    return Array.from({ length: file.length / (PIXELS + 1) }, (_, i) => file.subarray(i * (PIXELS + 1)));
  });
  return { labels: Int32Array.from(bytes, (record) => record[0]), bytes: bytes.map((r) => r.subarray(1, PIXELS + 1)) };
}

describeWithData('raw pixels of CIFAR-10, against numpy', 'cifar10-subset', (directory) => {
  let baseline: Baseline;
  let train: { features: Features; labels: Int32Array };
  let test: { features: Features; labels: Int32Array };

  beforeAll(async () => {
    await tf.setBackend('cpu');
    baseline = JSON.parse(readFileSync(join(directory, 'knn-pixel-baseline.json'), 'utf8')) as Baseline;
    const { train_channel_mean_0_1: mean, train_channel_std_0_1: std } = baseline;
    const load = (files: string[], rows?: number): typeof train => {
      const { labels, bytes } = readRecords(files.map((file) => join(directory, file)));
      const data = new Float32Array((rows ?? bytes.length) * PIXELS);
      bytes.slice(0, rows).forEach((record, row) => {
        record.forEach((byte, i) => {
          const channel = Math.floor(i / 1024);
          data[row * PIXELS + i] = (byte / 255 - mean[channel]) / std[channel];
        });
      });
      return { features: { shape: [data.length / PIXELS, PIXELS], data }, labels: labels.slice(0, rows) };
    };
    train = load([1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin.gz`));
    test = load(['test_batch.bin.gz'], TEST_ROWS);
  });

  it('scores what the whole test set scores, within the error of a sample', async () => {
    const result = await knnClassify({
      trainFeatures: train.features,
      trainLabels: train.labels,
      testFeatures: test.features,
      testLabels: test.labels,
      classes: 10,
    });
    expect(Object.keys(baseline.knn).length).toBe(Object.keys(result.byK).length);
    for (const [setting, expected] of Object.entries(baseline.knn)) {
      const k = /^k=(\d+),T=0.07$/.exec(setting)?.[1] ?? '';
      const { top1, top5 } = result.byK[k];
      const error = (percent: number): number => 3 * Math.sqrt((percent * (100 - percent)) / TEST_ROWS);
      expect(Math.abs(top1 - expected.top1), `${setting} top1 ${top1}`).toBeLessThan(error(expected.top1));
      expect(Math.abs(top5 - expected.top5), `${setting} top5 ${top5}`).toBeLessThan(error(expected.top5));
    }
  });

  it('finds the neighbours that float64 finds', async () => {
    const { data } = test.features;
    const queries: Features = { shape: [EXACT_ROWS, PIXELS], data: data.subarray(0, EXACT_ROWS * PIXELS) };
    const { indices, k } = await nearestNeighbours(queries, train.features, 10);
    const cosine = (query: number, row: number): number => {
      let [dot, a, b] = [0, 0, 0];
      for (let i = 0; i < PIXELS; i++) {
        const x = data[query * PIXELS + i];
        const y = train.features.data[row * PIXELS + i];
        dot += x * y;
        a += x * x;
        b += y * y;
      }
      return dot / Math.sqrt(a * b);
    };
    for (let query = 0; query < EXACT_ROWS; query++) {
      const all = Array.from(train.labels, (_, row) => ({ row, similarity: cosine(query, row) }));
      const nearest = all.sort((x, y) => y.similarity - x.similarity || x.row - y.row).slice(0, k);
      expect(Array.from(indices.subarray(query * k, (query + 1) * k))).toEqual(nearest.map(({ row }) => row));
    }
  });
});
