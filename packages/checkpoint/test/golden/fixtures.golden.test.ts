import { fixtureCases, readSafetensors as readIndependently } from '@selfsup/test-kit';
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { encodeSafetensors, openSafetensors, readSafetensors } from '../../src/index.js';

/** The safetensors files beside the fixtures, which were written by the reference implementation (in Python). */
const files = fixtureCases('.')
  .map((fixture) => join(fixture.directory, `${basename(fixture.name)}.safetensors`))
  .filter((path) => existsSync(path));

describe('files of the reference implementation', () => {
  test('there are some', () => expect(files.length).toBeGreaterThan(0));

  test.each(files)('%s', async (path) => {
    const expected = readIndependently(path);
    const { tensors, metadata } = await readSafetensors(path);
    expect(Object.keys(tensors).sort()).toEqual(Object.keys(expected).sort());
    for (const [name, { shape, data }] of Object.entries(expected)) {
      expect(tensors[name].shape).toEqual(shape);
      const got = tensors[name].data;
      const same = got.length === data.length && data.every((value, i) => Object.is(Number(got[i]), value));
      if (!same) throw new Error(`${name} differs`);
    }
    // Written again it is the same file, to the byte; where half precision was widened it says the same.
    const bytes = encodeSafetensors(tensors, metadata);
    const widened = Object.values(expected).some(({ dtype }) => dtype === 'F16' || dtype === 'BF16');
    expect(widened || Buffer.from(bytes).equals(readFileSync(path))).toBe(true);
    const file = await openSafetensors(bytes);
    expect(file.metadata).toEqual(metadata);
    const [first] = Object.keys(expected);
    expect(await file.read(first)).toEqual(tensors[first]);
  });
});
