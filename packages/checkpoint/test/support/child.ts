import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'tsup';
import { afterAll, beforeAll } from 'vitest';

const packageRoot = fileURLToPath(new URL('../..', import.meta.url));

/** Runs programs that import this package in processes of their own, which can be killed. */
export interface Children {
  /**
   * @param program - ES module text in which `pkg` is the package
   * @param shell - text before `node`, e.g. a resource limit
   */
  run(program: string, options?: { readonly shell?: string; readonly argument?: string }): ChildProcess;
}

/** Bundles the package once for a test file, since Node cannot run its TypeScript sources. */
export function setUpChildren(): Children {
  let folder = '';
  beforeAll(async () => {
    const cache = join(packageRoot, 'node_modules', '.cache');
    await mkdir(cache, { recursive: true });
    folder = await mkdtemp(join(cache, 'child-test-'));
    await build({
      entry: { checkpoint: join(packageRoot, 'src/index.ts') },
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
  return {
    run: (program, { shell = '', argument = '' } = {}) => {
      const text = `import * as pkg from ${JSON.stringify(join(folder, 'checkpoint.js'))};\n${program}`;
      return spawn(
        'bash',
        ['-c', `${shell} exec "$0" --input-type=module -e "$1" -- "$2"`, process.execPath, text, argument],
        {
          stdio: ['ignore', 'pipe', 'pipe'],
        },
      );
    },
  };
}

/** Output and end of a process. */
export async function ended(
  child: ChildProcess,
): Promise<{ code: number | null; signal: string | null; out: string; err: string }> {
  let out = '';
  let err = '';
  child.stdout?.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (err += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, out, err }));
  });
}
