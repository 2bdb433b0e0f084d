import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { propertyOptions } from '@selfsup/test-kit';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readJsonLines } from '../../src/index.js';
import { encodeLine } from '../../src/json-lines.js';
import { temporaryFolder } from '../support/folders.js';

async function reading(text: string | Uint8Array): ReturnType<typeof readJsonLines> {
  const path = join(await temporaryFolder(), 'x.jsonl');
  writeFileSync(path, text);
  return readJsonLines(path);
}

describe('logs', () => {
  test('numbers that JSON has no word for, and typed arrays, come back', async () => {
    const line = encodeLine({ step: 1, loss: NaN, up: Infinity, down: -Infinity, rows: Float32Array.of(0.5, NaN) });
    expect(line.endsWith('}\n')).toBe(true);
    expect((await reading(line)).records).toEqual([
      { step: 1, loss: NaN, up: Infinity, down: -Infinity, rows: [0.5, NaN] },
    ]);
  });

  test('a cut last line is left out and counted, a whole one without line feed is not', async () => {
    expect(await reading('{"step":1}\n{"step":2}\n{"ste')).toEqual({
      records: [{ step: 1 }, { step: 2 }],
      damagedLines: 1,
    });
    expect(await reading('{"step":1}\n{"step":2}')).toEqual({ records: [{ step: 1 }, { step: 2 }], damagedLines: 0 });
  });

  test('what is no object is damaged; blank lines are nothing', async () => {
    expect(await reading('{"step":1}\n\n3\nnull\n[]\n{"a":1}{"b":2}\n{"step":2}\r\n')).toEqual({
      records: [{ step: 1 }, { step: 2 }],
      damagedLines: 4,
    });
  });

  test('a log that is not there is empty, one that cannot be read is an error', async () => {
    const folder = await temporaryFolder();
    expect(await readJsonLines(join(folder, 'none'))).toEqual({ records: [], damagedLines: 0 });
    await expect(readJsonLines(folder)).rejects.toMatchObject({ code: 'RUN_DIRECTORY' });
  });

  test('cut anywhere, all whole lines before the cut are read', async () => {
    const records = fc.array(fc.dictionary(fc.string(), fc.oneof(fc.double(), fc.string(), fc.boolean())), {
      maxLength: 6,
    });
    await fc.assert(
      fc.asyncProperty(records, fc.nat(), async (given, where) => {
        const lines = given.map(encodeLine);
        const whole = Buffer.from(lines.join(''));
        const cut = whole.length === 0 ? 0 : where % (whole.length + 1);
        const before = lines.filter((_, i) => Buffer.byteLength(lines.slice(0, i + 1).join('')) <= cut).length;
        const { records: read, damagedLines } = await reading(whole.subarray(0, cut));
        expect(read.length).toBeGreaterThanOrEqual(before);
        expect(read.length + damagedLines).toBeLessThanOrEqual(before + 1);
        expect(read.slice(0, before).map(encodeLine)).toEqual(lines.slice(0, before));
      }),
      propertyOptions(),
    );
  });
});
