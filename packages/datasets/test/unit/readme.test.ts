import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { setUpBundle } from '../support/bundle.js';
import { temporaryFolder } from '../support/folders.js';

const bundle = setUpBundle();
const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
const snippets = [...readme.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code);

test('there are examples', () => expect(snippets.length).toBeGreaterThan(0));

test.each(snippets)('the example runs: %#', async (code) => {
  const photo = await sharp({ create: { width: 40, height: 30, channels: 3, background: 'teal' } })
    .jpeg()
    .toBuffer();
  const names = ['cat', 'dog'].flatMap((folder) => Array.from({ length: 12 }, (_, i) => `photos/${folder}/${i}.jpg`));
  const folder = await temporaryFolder(Object.fromEntries(names.map((name) => [name, photo])));
  const program = code
    .replaceAll("'@selfsup/datasets/decode'", JSON.stringify(bundle.path('decode')))
    .replaceAll("'@selfsup/datasets'", JSON.stringify(bundle.path('index')));
  const { stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
    cwd: folder,
  });
  expect(stderr).toBe('');
});
