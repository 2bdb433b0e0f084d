import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runFolder } from '../../src/commands/run-folder.js';

let path: string;
beforeEach(() => {
  path = join(mkdtempSync(join(tmpdir(), 'selfsup-runs-')), 'simdino');
});
afterEach(() => rmSync(join(path, '..'), { recursive: true }));

function makeRun(folder: string): void {
  mkdirSync(folder);
  writeFileSync(join(folder, 'config.json'), '{}');
}

test('a new run gets a folder of its own, a resumed one is the newest', () => {
  expect(runFolder(path, false)).toBe(path);
  expect(runFolder(path, true)).toBe(path);
  makeRun(path);
  expect(runFolder(path, false)).toBe(`${path}-2`);
  expect(runFolder(path, true)).toBe(path);
  makeRun(`${path}-2`);
  expect(runFolder(path, false)).toBe(`${path}-3`);
  expect(runFolder(path, true)).toBe(`${path}-2`);
});

test('a folder that was removed is not filled again, so that the highest number stays the newest', () => {
  makeRun(`${path}-2`);
  makeRun(`${path}-10`);
  expect(runFolder(path, false)).toBe(`${path}-11`);
  expect(runFolder(path, true)).toBe(`${path}-10`);
});

test('empty folders and other names are passed over', () => {
  makeRun(path);
  makeRun(`${path}-small`);
  makeRun(`${path}-1`);
  mkdirSync(`${path}-2`);
  expect(runFolder(path, true)).toBe(path);
  expect(runFolder(path, false)).toBe(`${path}-3`);
});

test('nothing is needed to be there, and a file in the way is for others to refuse', () => {
  writeFileSync(path, '');
  expect(runFolder(join(path, 'simdino'), false)).toBe(join(path, 'simdino'));
  expect(runFolder(join(path, 'simdino'), true)).toBe(join(path, 'simdino'));
  expect(runFolder(join(path, '..', 'runs', 'simdino'), false)).toBe(join(path, '..', 'runs', 'simdino'));
});
