import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'tsup';
import { afterAll, beforeAll } from 'vitest';

const packageRoot = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Bundles the decoder once for a test file, since threads cannot run the TypeScript sources. The bundle lies inside the
 * package so that it finds sharp.
 *
 * @returns its path, to be asked for inside tests
 */
export function setUpDecoderBundle(): () => string {
  let folder = '';
  beforeAll(async () => {
    const cache = join(packageRoot, 'node_modules', '.cache');
    await mkdir(cache, { recursive: true });
    folder = await mkdtemp(join(cache, 'test-'));
    await build({
      entry: { decode: join(packageRoot, 'src/decode.ts') },
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
  return () => join(folder, 'decode.js');
}
