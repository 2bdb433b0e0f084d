import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ended, setUpChildren } from '../support/child.js';
import { temporaryFolder } from '../support/folders.js';

const children = setUpChildren();
const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
const snippets = [...readme.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code);

test('there are examples', () => expect(snippets.length).toBeGreaterThan(0));

test.each(snippets)('the example runs: %#', async (code) => {
  const program = code.replaceAll(/^import (.*) from '@selfsup\/checkpoint';$/gm, 'const $1 = checkpoint;');
  const child = children.run(program, { shell: `cd '${await temporaryFolder()}';` });
  expect(await ended(child)).toMatchObject({ code: 0, err: '' });
});
