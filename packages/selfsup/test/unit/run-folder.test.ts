import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runFolder } from '../../src/commands/run-folder.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'selfsup-runs-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('a new run gets a folder of its own, a resumed one is the newest', () => {
  const path = join(folder, 'simdino');
  expect(runFolder(path, false)).toBe(path);
  expect(runFolder(path, true)).toBe(path);
  mkdirSync(path);
  expect(runFolder(path, false)).toBe(`${path}-2`);
  expect(runFolder(path, true)).toBe(path);
  mkdirSync(`${path}-2`);
  expect(runFolder(path, false)).toBe(`${path}-3`);
  expect(runFolder(path, true)).toBe(`${path}-2`);
});
