import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { dataDirectory, describeWithData } from '@selfsup/test-kit';
import { describe, expect, test } from 'vitest';
import { decode } from '../../src/decode.js';
import { openDataset, type Dataset } from '../../src/index.js';
import { temporaryFolder } from '../support/folders.js';

/** Records whose pixels are (label + channel) everywhere. */
function records(labels: readonly number[], labelBytes = 1): Uint8Array {
  const record = labelBytes + 3072;
  const bytes = new Uint8Array(labels.length * record);
  labels.forEach((label, row) => {
    bytes[row * record + labelBytes - 1] = label;
    for (let channel = 0; channel < 3; channel++) {
      const start = row * record + labelBytes + channel * 1024;
      bytes.fill(label + channel, start, start + 1024);
    }
  });
  return bytes;
}

describe('small files made here', () => {
  test('parts, labels, names and pixels, plain and gzipped', async () => {
    const folder = await temporaryFolder({
      'data_batch_10.bin': records([9]),
      'data_batch_2.bin.gz': gzipSync(records([3, 4])),
      'test_batch.bin': records([7]),
      'batches.meta.txt': 'zero\none\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\n\n',
    });
    const train = await openDataset(folder, { split: 'train' });
    expect(train).toMatchObject({ kind: 'cifar10', split: 'train', size: 3 });
    expect([0, 1, 2].map((i) => train.label(i))).toEqual([3, 4, 9]);
    expect([0, 1, 2].map((i) => train.name(i))).toEqual([
      'data_batch_2.bin.gz#0',
      'data_batch_2.bin.gz#1',
      'data_batch_10.bin#0',
    ]);
    expect(train.classes?.[3]).toBe('three');
    expect(train.source(1)).toMatchObject({ kind: 'planar', offset: 3074, width: 32, height: 32 });
    const image = await decode(train.source(1));
    expect([...image.data.subarray(0, 6), ...image.data.subarray(-3)]).toEqual([4, 5, 6, 4, 5, 6, 4, 5, 6]);
    expect((await openDataset(folder, { split: 'test' })).size).toBe(1);
    expect((await openDataset(folder)).size).toBe(4);
  });

  test('a file that is there plain and packed counts once; the official folder is found inside', async () => {
    const folder = await temporaryFolder({
      'cifar-10-batches-bin/data_batch_1.bin': records([1]),
      'cifar-10-batches-bin/data_batch_1.bin.gz': gzipSync(records([1])),
    });
    const dataset = await openDataset(folder);
    expect(dataset.size).toBe(1);
    expect(dataset.classes?.[1]).toBe('class 1');
  });

  test('CIFAR-100: the fine label counts', async () => {
    const folder = await temporaryFolder({ 'train.bin': records([99, 5], 2), 'test.bin': records([42], 2) });
    const dataset = await openDataset(folder);
    expect(dataset).toMatchObject({ kind: 'cifar100', size: 3 });
    expect([0, 1, 2].map((i) => dataset.label(i))).toEqual([99, 5, 42]);
    expect((await decode(dataset.source(1))).data.subarray(0, 3)).toEqual(new Uint8Array([5, 6, 7]));
  });

  test.each<[string, string, Uint8Array, string]>([
    ['cut', 'data_batch_1.bin', records([1, 2]).subarray(0, 6000), 'whole records of 3073 bytes, got'],
    ['empty', 'data_batch_1.bin', new Uint8Array(0), 'whole records of 3073 bytes'],
    ['impossible label', 'data_batch_1.bin', records([1, 11]), 'label 11 in record 1'],
    ['not gzip', 'data_batch_1.bin.gz', records([1]), 'readable CIFAR binary file'],
    ['gzip cut', 'data_batch_1.bin.gz', gzipSync(records([1])).subarray(0, 40), 'readable CIFAR binary file'],
  ])('a damaged file is named: %s', async (_, name, bytes, part) => {
    const folder = await temporaryFolder({ [name]: bytes });
    const opened = openDataset(folder);
    await expect(opened).rejects.toMatchObject({ code: 'BAD_DATA', details: { path: join(folder, name) } });
    await expect(opened).rejects.toThrow(part);
  });

  test('a part without files', async () => {
    const folder = await temporaryFolder({ 'test_batch.bin': records([1]) });
    await expect(openDataset(folder, { split: 'train' })).rejects.toMatchObject({ code: 'DATA_EMPTY' });
  });
});

describeWithData('the CIFAR-10 subset', 'cifar10-subset', (directory) => {
  interface Baseline {
    readonly train_channel_mean_0_1: number[];
    readonly train_channel_std_0_1: number[];
    readonly train_label_counts: number[];
    readonly test_label_counts: number[];
  }
  const baseline = JSON.parse(readFileSync(join(directory, 'knn-pixel-baseline.json'), 'utf8')) as Baseline;

  function labelCounts(dataset: Dataset): number[] {
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < dataset.size; i++) counts[dataset.label(i) ?? -1]++;
    return counts;
  }

  test('label counts, channel means and deviations are those of the data set', async () => {
    const train = await openDataset(directory, { split: 'train' });
    expect(labelCounts(train)).toEqual(baseline.train_label_counts);
    const sum = [0, 0, 0];
    const square = [0, 0, 0];
    for (let i = 0; i < train.size; i++) {
      const { data } = await decode(train.source(i));
      for (let p = 0; p < data.length; p++) {
        sum[p % 3] += data[p];
        square[p % 3] += data[p] * data[p];
      }
    }
    const count = train.size * 1024;
    const mean = sum.map((s) => s / count);
    expect(mean.map((m) => m / 255)).toBeAllclose(baseline.train_channel_mean_0_1, { rtol: 1e-12, atol: 0 });
    const std = square.map((s, c) => Math.sqrt(s / count - mean[c] * mean[c]) / 255);
    expect(std).toBeAllclose(baseline.train_channel_std_0_1, { rtol: 1e-10, atol: 0 });
  });

  test('the test part', async () => {
    const held = await openDataset(directory, { split: 'test' });
    expect(labelCounts(held)).toEqual(baseline.test_label_counts);
    expect(held.classes).toEqual(
      readFileSync(dataDirectory('cifar10-subset', 'batches.meta.txt') ?? '', 'utf8')
        .trim()
        .split('\n'),
    );
  });
});
