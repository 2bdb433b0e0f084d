/**
 * Compiles assembly/ to WebAssembly and writes it into src/kernels/binary.ts. Needed only after a change of assembly/
 * (a test compares the hash of the sources):
 *   npm install --no-save assemblyscript@0.28.20 && node scripts/build-kernels.mjs
 */
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import asc from 'assemblyscript/asc';

const sources = new URL('../assembly/', import.meta.url);
const hash = createHash('sha256');
for (const name of (await readdir(sources)).sort()) hash.update(await readFile(new URL(name, sources)));

let binary;
const { error, stderr } = await asc.main(
  'index.ts --outFile kernels.wasm -O3 --noAssert --runtime stub --enable simd --enable bulk-memory'.split(' '),
  {
    readFile: (name) => readFile(new URL(name, sources), 'utf8').catch(() => null),
    writeFile: (_name, contents) => void (binary = contents),
    listFiles: () => [],
  },
);
if (error) {
  process.stderr.write(stderr.toString());
  throw error;
}
await writeFile(
  new URL('../src/kernels/binary.ts', import.meta.url),
  `/**
 * Generated from assembly/ by scripts/build-kernels.mjs (AssemblyScript 0.28.20): do not edit.
 * Sources: sha256 ${hash.digest('hex')}
 */
export const KERNELS_BASE64 =
  '${Buffer.from(binary).toString('base64')}';
`,
);
