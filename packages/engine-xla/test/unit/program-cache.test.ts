import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ProgramCache } from '../../src/program-cache.js';

describe('a folder of compiled programs', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'selfsup-programs-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const bytes = (n: number): Uint8Array => new Uint8Array(1000).fill(n);
  const minutesAgo = (key: string, minutes: number): void => {
    const then = new Date(Date.now() - minutes * 60_000);
    utimesSync(join(folder, `${key}.xla`), then, then);
  };

  test('gives back what it was given', async () => {
    const cache = new ProgramCache(folder);
    await cache.keep('a', bytes(1));
    expect(Uint8Array.from((await cache.find('a')) ?? [])).toEqual(bytes(1));
    expect(await cache.find('b')).toBeUndefined();
  });

  test('what was not used for longest goes when the folder is full; being found is a use', async () => {
    const cache = new ProgramCache(folder, 3500);
    for (const [i, key] of ['a', 'b', 'c'].entries()) {
      await cache.keep(key, bytes(i));
      minutesAgo(key, 10 - i);
    }
    expect(await cache.find('a')).toBeDefined();
    await cache.keep('d', bytes(4));
    expect(readdirSync(folder).sort()).toEqual(['a.xla', 'c.xla', 'd.xla']);
  });

  test('what a killed process left unfinished goes, not what is being written', async () => {
    for (const [name, minutes] of [
      ['a.xla.12', 90],
      ['b.xla.13', 1],
      ['notes.txt', 90],
    ] as const) {
      writeFileSync(join(folder, name), bytes(0));
      const then = new Date(Date.now() - minutes * 60_000);
      utimesSync(join(folder, name), then, then);
    }
    await new ProgramCache(folder).keep('c', bytes(1));
    expect(readdirSync(folder).sort()).toEqual(['b.xla.13', 'c.xla', 'notes.txt']);
  });

  test('a program larger than the folder may be is kept alone', async () => {
    const cache = new ProgramCache(folder, 500);
    await cache.keep('a', bytes(1));
    minutesAgo('a', 1);
    await cache.keep('b', bytes(2));
    expect(readdirSync(folder)).toEqual(['b.xla']);
  });
});
