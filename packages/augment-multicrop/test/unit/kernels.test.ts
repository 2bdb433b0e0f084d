import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

it('the committed kernels were compiled from the sources beside them', () => {
  const sources = new URL('../../assembly/', import.meta.url);
  const hash = createHash('sha256');
  for (const name of readdirSync(sources).sort()) hash.update(readFileSync(new URL(name, sources)));
  const generated = readFileSync(new URL('../../src/kernels/binary.ts', import.meta.url), 'utf8');
  expect(generated, 'run scripts/build-kernels.mjs').toContain(`Sources: sha256 ${hash.digest('hex')}`);
});
