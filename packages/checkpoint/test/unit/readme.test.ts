import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runExamples } from '@selfsup/test-kit';
import { afterAll, beforeAll } from 'vitest';

// The examples write where they run.
const start = process.cwd();
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selfsup-checkpoint-readme-'));
  process.chdir(folder);
});

afterAll(async () => {
  process.chdir(start);
  await rm(folder, { recursive: true, force: true });
});

runExamples(join(import.meta.dirname, '../../README.md'), import.meta.dirname);
