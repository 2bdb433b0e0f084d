import { describe, expect, test } from 'vitest';
import { decode } from '../../src/decode.js';
import { datasetFrom, type Sample } from '../../src/index.js';

const pixels = (value: number): Sample => ({
  source: { kind: 'rgb', data: new Uint8Array(3).fill(value), width: 1, height: 1 },
  name: `pixel ${value}`,
  label: value,
});

async function* endless(): AsyncGenerator<Sample> {
  for (let i = 0; ; i++) {
    await Promise.resolve();
    yield pixels(i);
  }
}

describe('datasetFrom', () => {
  test('reads an async iterable up to the limit', async () => {
    const dataset = await datasetFrom(endless(), { limit: 3 });
    expect(dataset).toMatchObject({ kind: 'custom', split: 'all', size: 3 });
    expect(dataset.name(2)).toBe('pixel 2');
    expect(dataset.label(2)).toBe(2);
    expect((await decode(dataset.source(2))).data).toEqual(new Uint8Array([2, 2, 2]));
  });

  test('reads an array; pixels move into shared memory once', async () => {
    const dataset = await datasetFrom([pixels(0), pixels(1)], {
      classes: ['zero', 'one'],
      split: 'train',
      kind: 'pixels',
    });
    expect(dataset).toMatchObject({ kind: 'pixels', split: 'train', classes: ['zero', 'one'] });
    const source = dataset.source(0);
    expect(source.kind === 'rgb' && source.data.buffer instanceof SharedArrayBuffer).toBe(true);
  });

  test('refuses labels outside the classes and an empty source', async () => {
    await expect(datasetFrom([pixels(0), pixels(2)], { classes: ['a', 'b'] })).rejects.toThrow(
      /labels from 0 to 1, got 2 for sample 1 \(pixel 2\)/,
    );
    await expect(datasetFrom([pixels(0.5)])).rejects.toMatchObject({ code: 'BAD_DATA' });
    await expect(datasetFrom([])).rejects.toMatchObject({ code: 'DATA_EMPTY' });
    await expect(datasetFrom(endless(), { limit: 0 })).rejects.toMatchObject({ code: 'DATA_EMPTY' });
  });
});
