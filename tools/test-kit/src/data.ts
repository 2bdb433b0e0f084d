import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe } from 'vitest';
import { nothingMayBeMissing, repositoryRoot } from './paths.js';

function dataRoot(): string {
  const given = process.env['SELFSUP_DATA'];
  return given !== undefined && given !== '' ? resolve(given) : resolve(repositoryRoot, '../shared/data');
}

/**
 * Path of a part of the test data ($SELFSUP_DATA, else `../shared/data`), e.g. `dataDirectory('photos', 'dog')`.
 *
 * @returns undefined, with the reason printed, where that part is missing
 * @throws where it is missing and `CI` is set
 */
export function dataDirectory(...parts: string[]): string | undefined {
  const path = resolve(dataRoot(), ...parts);
  if (existsSync(path)) return path;
  const reason = `test data ${path} is missing (set SELFSUP_DATA)`;
  if (nothingMayBeMissing) throw new Error(reason);
  console.warn(`skipped: ${reason}`);
  return undefined;
}

/** `describe` for tests on a folder of the test data; skipped, with the reason printed, where the folder is missing. */
export function describeWithData(name: string, folder: string, define: (directory: string) => void): void {
  const directory = dataDirectory(...folder.split('/'));
  if (directory === undefined) {
    describe.skip(name, () => define(''));
  } else {
    describe(name, () => define(directory));
  }
}
