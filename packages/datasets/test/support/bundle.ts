import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'tsup';
import { afterAll, beforeAll } from 'vitest';

const packageRoot = fileURLToPath(new URL('../..', import.meta.url));

/** Paths of bundled entries, to be read inside tests. */
export interface Bundle {
  path(entry: 'index' | 'decode'): string;
}

/**
 * Bundles the package once for a test file: threads and processes of their own cannot run the TypeScript sources. The
 * bundle lies inside the package so that it finds sharp.
 */
export function setUpBundle(): Bundle {
  let folder = '';
  beforeAll(async () => {
    const cache = join(packageRoot, 'node_modules', '.cache');
    await mkdir(cache, { recursive: true });
    folder = await mkdtemp(join(cache, 'test-'));
    await build({
      entry: { index: join(packageRoot, 'src/index.ts'), decode: join(packageRoot, 'src/decode.ts') },
      outDir: folder,
      format: ['esm'],
      config: false,
      silent: true,
      noExternal: ['@selfsup/core'],
      esbuildOptions: (options) => {
        options.conditions = ['@selfsup/source'];
      },
    });
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return { path: (entry) => join(folder, `${entry}.js`) };
}
