import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { runExamples } from '@selfsup/test-kit';
import sharp from 'sharp';
import { afterAll, beforeAll } from 'vitest';

// The examples read a folder `photos` where they run.
const start = process.cwd();
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selfsup-datasets-readme-'));
  const photo = await sharp({ create: { width: 40, height: 30, channels: 3, background: 'teal' } })
    .jpeg()
    .toBuffer();
  for (const path of ['cat', 'dog'].flatMap((name) =>
    Array.from({ length: 12 }, (_, i) => `photos/${name}/${i}.jpg`),
  )) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), photo);
  }
  process.chdir(folder);
});

afterAll(async () => {
  process.chdir(start);
  await rm(folder, { recursive: true, force: true });
});

runExamples(join(import.meta.dirname, '../../README.md'), import.meta.dirname);
