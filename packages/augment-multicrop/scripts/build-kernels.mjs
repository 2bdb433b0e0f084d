/**
 * Compiles assembly/ to WebAssembly and writes it into src/kernels/binary.ts. Needed only after a change of assembly/:
 *   npm install --no-save assemblyscript@0.28.20 && node scripts/build-kernels.mjs
 * With --check it writes nothing and fails when the committed binary is not what the sources give.
 */
import { readFile, writeFile } from 'node:fs/promises';
import asc from 'assemblyscript/asc';

const root = new URL('..', import.meta.url);
const target = new URL('src/kernels/binary.ts', root);
let binary;
const { error, stderr } = await asc.main(
  [
    'index.ts',
    '--outFile',
    'kernels.wasm',
    '-O3',
    '--noAssert',
    '--runtime',
    'stub',
    '--enable',
    'simd',
    '--enable',
    'bulk-memory',
  ],
  {
    readFile: (name) => readFile(new URL(`assembly/${name}`, root), 'utf8').catch(() => null),
    writeFile: (_name, contents) => void (binary = contents),
    listFiles: () => [],
  },
);
if (error) {
  process.stderr.write(stderr.toString());
  throw error;
}
const text = `/** Generated from assembly/ by scripts/build-kernels.mjs (AssemblyScript 0.28.20): do not edit. */
export const KERNELS_BASE64 =
  '${Buffer.from(binary).toString('base64')}';
`;
if (!process.argv.includes('--check')) await writeFile(target, text);
else if ((await readFile(target, 'utf8')) !== text)
  throw new Error('src/kernels/binary.ts is stale: run scripts/build-kernels.mjs');
