import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SslError, type SslErrorCode } from '@selfsup/core';
import { describeWithData } from '@selfsup/test-kit';
import { describe, expect, test } from 'vitest';
import { isHeldOut, openDataset, type Dataset } from '../../src/index.js';
import { emptyFiles, temporaryFolder } from '../support/folders.js';

function names(dataset: Dataset): string[] {
  return Array.from({ length: dataset.size }, (_, i) => dataset.name(i));
}

function labelOf(dataset: Dataset, name: string): string | undefined {
  const label = dataset.label(names(dataset).indexOf(name));
  return label === undefined ? undefined : dataset.classes?.[label];
}

async function refusal(promise: Promise<unknown>, code: SslErrorCode): Promise<SslError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!SslError.is(error)) throw new Error(`expected an SslError, got ${String(error)}`);
  expect(error.code).toBe(code);
  return error;
}

const manyIn = (folder: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${folder}/${i}.jpg`);

describe('class folders', () => {
  test('the folder is the label, also for images deeper inside', async () => {
    const folder = await temporaryFolder(emptyFiles('dog/a.jpg', 'dog/small/b.png', 'cat/c.jpg', 'readme.txt'));
    const dataset = await openDataset(folder);
    expect(dataset).toMatchObject({ kind: 'class-folders', split: 'all', size: 3, classes: ['cat', 'dog'] });
    expect(names(dataset)).toEqual(['cat/c.jpg', 'dog/a.jpg', 'dog/small/b.png']);
    expect([0, 1, 2].map((i) => dataset.label(i))).toEqual([0, 1, 1]);
    expect(dataset.source(2)).toEqual({ kind: 'file', path: join(folder, 'dog/small/b.png') });
  });

  test('one in five is held out by the hash of its path, whatever else is there', async () => {
    const folder = await temporaryFolder(emptyFiles(...manyIn('cat', 200), ...manyIn('dog', 200)));
    const train = await openDataset(folder, { split: 'train' });
    const held = await openDataset(folder, { split: 'test' });
    expect([...names(train), ...names(held)].sort()).toEqual(names(await openDataset(folder)));
    expect(names(held).every(isHeldOut)).toBe(true);
    expect(names(train).some(isHeldOut)).toBe(false);
    expect(held.size).toBeGreaterThan(50);
    expect(held.size).toBeLessThan(110);
    expect(held).toMatchObject({ split: 'test', classes: ['cat', 'dog'] });
  });

  test('the hash is SHA-256, so the parts never change', () => {
    // From `printf %s cat/0.jpg | sha256sum | cut -c1-8`, read as a number, modulo 5.
    expect(
      ['cat/0.jpg', 'cat/1.jpg', 'cat/2.jpg', 'cat/3.jpg', 'cat/4.jpg', 'cat/5.jpg', 'cat/6.jpg'].map(isHeldOut),
    ).toEqual([true, false, false, false, false, true, false]);
  });

  test('a group stays on one side', async () => {
    const paths = Array.from({ length: 60 }, (_, i) => [`a/${i}-light.png`, `b/${i}-dark.png`]).flat();
    const folder = await temporaryFolder(emptyFiles(...paths));
    const drawing = (path: string): string => path.replace(/^.\/(\d+)-.*$/, '$1');
    const train = await openDataset(folder, { split: 'train', groupOf: drawing });
    const held = await openDataset(folder, { split: 'test', groupOf: drawing });
    const trained = new Set(names(train).map(drawing));
    expect(held.size).toBeGreaterThan(0);
    expect(names(held).filter((path) => trained.has(drawing(path)))).toEqual([]);
  });

  test('labels can be left out', async () => {
    const folder = await temporaryFolder(emptyFiles('dog/a.jpg', 'cat/c.jpg'));
    const dataset = await openDataset(folder, { split: 'train', labels: 'none' });
    expect(dataset).toMatchObject({ kind: 'images', split: 'all', size: 2 });
    expect(dataset.classes).toBeUndefined();
  });
});

describe('train and test folders', () => {
  test('are the parts', async () => {
    const folder = await temporaryFolder(
      emptyFiles('train/dog/a.jpg', 'train/cat/b.jpg', 'val/dog/c.jpg', 'val/cat/d.jpg'),
    );
    const train = await openDataset(folder, { split: 'train' });
    const held = await openDataset(folder, { split: 'test' });
    expect(names(train)).toEqual(['train/cat/b.jpg', 'train/dog/a.jpg']);
    expect(names(held)).toEqual(['val/cat/d.jpg', 'val/dog/c.jpg']);
    expect(held.classes).toEqual(['cat', 'dog']);
    expect(labelOf(held, 'val/dog/c.jpg')).toBe('dog');
    expect(names(await openDataset(folder))).toHaveLength(4);
  });

  test('ImageNet: the test folder without labels gives way to val', async () => {
    const folder = await temporaryFolder(
      emptyFiles('train/dog/a.jpg', 'train/cat/b.jpg', 'val/dog/c.jpg', 'val/cat/d.jpg', 'test/e.jpg'),
    );
    expect(names(await openDataset(folder, { split: 'test' }))).toEqual(['val/cat/d.jpg', 'val/dog/c.jpg']);
  });

  test('without class folders there are no labels but still two parts', async () => {
    const folder = await temporaryFolder(emptyFiles('train/a.jpg', 'test/b.jpg'));
    const held = await openDataset(folder, { split: 'test' });
    expect(held).toMatchObject({ kind: 'images', split: 'test', size: 1 });
    expect(held.label(0)).toBeUndefined();
  });
});

describe('images without labels', () => {
  test.each([
    ['flat', ['a.jpg', 'b.png']],
    ['one folder', ['album/a.jpg', 'album/b.png']],
    ['images beside folders', ['a.jpg', 'album/b.png', 'other/c.png']],
  ])('%s: every split is the whole', async (_, paths) => {
    const folder = await temporaryFolder(emptyFiles(...paths));
    for (const split of ['train', 'test', 'all'] as const) {
      const dataset = await openDataset(folder, { split });
      expect(dataset).toMatchObject({ kind: 'images', split: 'all', size: paths.length });
      expect(dataset.classes).toBeUndefined();
      expect(dataset.label(0)).toBeUndefined();
    }
  });
});

describe('refusals', () => {
  test('an index outside the set', async () => {
    const dataset = await openDataset(await temporaryFolder(emptyFiles('a.jpg')));
    expect(() => dataset.source(1)).toThrow(/index from 0 to 0/);
    expect(() => dataset.label(-1)).toThrow(/index from 0 to 0/);
    expect(() => dataset.name(0.5)).toThrow(/index from 0 to 0/);
  });

  test('a path that does not exist: the nearest one is suggested', async () => {
    const folder = await temporaryFolder(emptyFiles('photos/dog/a.jpg'));
    const error = await refusal(openDataset(join(folder, 'photo')), 'DATA_MISSING');
    expect(error.message).toContain(`did you mean ${join(folder, 'photos')}`);
    const deeper = await refusal(openDataset(join(folder, 'fotos', 'dog')), 'DATA_MISSING');
    expect(deeper.message).toContain(`did you mean ${join(folder, 'photos')}`);
    await mkdir(join(folder, 'home'));
    const unlike = await refusal(openDataset(join(folder, 'nope')), 'DATA_MISSING');
    expect(unlike.message).not.toContain('did you mean');
    const far = await refusal(openDataset(join(folder, 'something-else-entirely')), 'DATA_MISSING');
    expect(far.message).toContain('check the path');
  });

  test('a file instead of a folder', async () => {
    const folder = await temporaryFolder(emptyFiles('a.jpg'));
    const error = await refusal(openDataset(join(folder, 'a.jpg')), 'DATA_MISSING');
    expect(error.message).toContain(`pass the folder, ${folder}`);
  });

  test.each([
    ['an empty folder', [], 'no file at all', 'pass a folder with .avif'],
    [
      'other files',
      ['a.txt', 'b.txt', 'c.json', 'd'],
      '2 .txt, 1 .json, 1 without extension',
      'pass a folder with .avif',
    ],
    ['an archive', ['cifar-10-binary.tar.gz'], '1 .gz', 'unpack the archive first'],
    [
      'the Python version of CIFAR',
      ['data_batch_1', 'test_batch'],
      '2 without extension',
      'download the binary version',
    ],
  ])('%s: says what was found', async (_, paths, got, fix) => {
    const error = await refusal(openDataset(await temporaryFolder(emptyFiles(...paths))), 'DATA_EMPTY');
    expect(error.message).toContain(got);
    expect(error.message).toContain(fix);
  });

  test('a split without an image', async () => {
    const paths = [...manyIn('a', 9), ...manyIn('b', 9)].filter((path) => !isHeldOut(path));
    const folder = await temporaryFolder(emptyFiles(...paths));
    const error = await refusal(openDataset(folder, { split: 'test' }), 'DATA_EMPTY');
    expect(error.message).toContain('images in the test part');
  });
});

describeWithData('photographs in class folders', 'photos', (directory) => {
  test('ten classes of ten, every image in exactly one part', async () => {
    const all = await openDataset(directory);
    expect(all).toMatchObject({ kind: 'class-folders', size: 100 });
    expect(all.classes).toHaveLength(10);
    const perClass = new Array<number>(10).fill(0);
    for (let i = 0; i < all.size; i++) perClass[all.label(i) ?? -1]++;
    expect(perClass).toEqual(new Array(10).fill(10));
    const train = await openDataset(directory, { split: 'train' });
    const held = await openDataset(directory, { split: 'test' });
    expect([...names(train), ...names(held)].sort()).toEqual(names(all));
    expect(held.size).toBeGreaterThan(8);
    expect(dirname(names(train)[0])).toBe(all.classes?.[0]);
  });
});
