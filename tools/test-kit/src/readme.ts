import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';

/** An example of a page, with the line it starts on. */
interface Example {
  readonly code: string;
  readonly line: number;
}

function examplesOf(markdown: string): Example[] {
  return [...markdown.matchAll(/^```(?:ts|js)\n(.*?)^```/gms)].map((match) => ({
    code: match[1],
    line: markdown.slice(0, match.index).split('\n').length,
  }));
}

/**
 * Runs every example of a page (fenced as `ts` or `js`; `js no-run` is left out), so that none can rot. An example
 * runs as a module of its own beside the calling test and passes when it does not throw.
 *
 * @param page - Path of the page.
 * @param directory - Where to put the module while it runs: a folder of the package, for its imports to resolve.
 *
 * @example
 * runExamples(join(import.meta.dirname, '../../README.md'), import.meta.dirname);
 */
export function runExamples(page: string, directory: string = dirname(page)): void {
  const examples = examplesOf(readFileSync(page, 'utf8'));
  describe(`examples of ${page}`, () => {
    it('are there', () => expect(examples.length).toBeGreaterThan(0));

    it.each(examples)('line $line', async ({ code, line }) => {
      const folder = join(directory, '.examples');
      const file = join(folder, `line-${line}.ts`);
      mkdirSync(folder, { recursive: true });
      writeFileSync(file, code);
      try {
        await import(pathToFileURL(file).href);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
  });
}
