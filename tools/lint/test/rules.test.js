import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ESLint } from 'eslint';
import { describe, expect, it } from 'vitest';
import { importDirections } from '../src/import-directions.js';

// In CI typescript-eslint would take the files from disk instead of the code given here.
process.env.TSESTREE_SINGLE_RUN = 'false';

const root = join(import.meta.dirname, '../../..');
const eslint = new ESLint({ cwd: root });

/** Rules that fire on code as if it were in a file of the repository. */
async function firing(file, code) {
  const [result] = await eslint.lintText(code, { filePath: join(root, file) });
  const fatal = result.messages.find((message) => message.fatal);
  if (fatal !== undefined) throw new Error(fatal.message);
  return result.messages.map((message) => message.ruleId);
}

const packages = readdirSync(join(root, 'packages'));
/** A source of the command line: the project service knows files that exist. */
const commandLine = `packages/selfsup/src/${readdirSync(join(root, 'packages/selfsup/src')).find((file) => file.endsWith('.ts'))}`;
const manifest = (name) => JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8'));

describe('import directions', () => {
  it('place every package', () => {
    expect(Object.keys(importDirections).sort()).toEqual(packages.sort());
  });

  it('have no cycles', () => {
    const depth = (name, above = []) => {
      expect(above).not.toContain(name);
      for (const other of importDirections[name].ours) depth(other, [...above, name]);
    };
    for (const name of packages) depth(name);
  });

  it.each(packages)('agree with the dependencies of %s', (name) => {
    const { dependencies = {} } = manifest(name);
    const ours = Object.keys(dependencies).filter((other) => other.startsWith('@selfsup/'));
    expect(importDirections[name].ours).toEqual(expect.arrayContaining(ours.map((other) => other.slice(9))));
    if (importDirections[name].tfjsUnion === undefined)
      expect(Object.keys(dependencies)).not.toContain('@tensorflow/tfjs');
  });

  const direction = 'no-restricted-imports';
  it.each([
    ['packages/loss-coding-rate/src/index.ts', '@selfsup/ema-distill', 'another block'],
    ['packages/eval-suite/src/index.ts', '@selfsup/compile', 'the compiler from a block'],
    ['packages/compile/src/index.ts', '@selfsup/engine-onnxruntime', 'an engine from the compiler'],
    ['packages/engine-onnxruntime/src/index.ts', '@selfsup/optim', 'a block from an engine'],
    ['packages/recipes/src/index.ts', '@selfsup/engine-onnxruntime', 'an engine from recipes'],
    ['packages/recipes/src/index.ts', 'selfsup', 'the command line'],
    ['packages/core/src/index.ts', '@selfsup/ops', 'anything from core'],
    ['packages/ops/src/index.ts', '@tensorflow/tfjs', 'the tfjs union'],
    ['packages/compile/src/index.ts', '@tensorflow/tfjs', 'the tfjs union outside the Node entry'],
    ['packages/compile/src/node.ts', '@selfsup/optim', 'a block from the Node entry'],
    ['packages/recipes/src/index.ts', '@tensorflow/tfjs-backend-wasm', 'a tfjs backend'],
    ['packages/ops/src/index.ts', '@selfsup/test-kit', 'the tests'],
    ['packages/ops/src/index.ts', '../../core/src/index.js', 'a package by its folder'],
  ])('%s may not import %s (%s)', async (file, module) => {
    expect(await firing(file, `import { x } from '${module}';\nexport const y = x;\n`)).toEqual([direction]);
    expect(await firing(file, `export type { X } from '${module}';\n`)).toEqual([direction]);
    expect(await firing(file, `export const x = import('${module}');\n`)).toEqual(['no-restricted-syntax']);
  });

  it.each([
    ['packages/loss-coding-rate/src/index.ts', '@selfsup/ops'],
    ['packages/loss-coding-rate/src/index.ts', '@tensorflow/tfjs-core'],
    ['packages/engine-onnxruntime/src/index.ts', '@selfsup/compile'],
    ['packages/compile/src/node.ts', '@tensorflow/tfjs'],
    ['packages/recipes/src/index.ts', '@selfsup/eval-suite'],
    [commandLine, '@selfsup/recipes'],
    [commandLine, '@tensorflow/tfjs'],
    ['packages/ops/src/index.ts', './nested/file.js'],
  ])('%s may import %s', async (file, module) => {
    expect(await firing(file, `import { x } from '${module}';\nexport const y = x;\n`)).toEqual([]);
  });
});

describe('other bans in sources', () => {
  const ops = 'packages/ops/src/index.ts';
  const tf = `import * as tf from '@tensorflow/tfjs-core';\n`;
  const chained = `${tf}export const f = (x: tf.Tensor): tf.Tensor => x.sum();\n`;
  it.each([
    [
      'a promise left alone',
      'async function f(): Promise<void> {}\nexport function g(): void { f(); }\n',
      '@typescript-eslint/no-floating-promises',
    ],
    ['any', 'export function f(x: any): void { void x; }\n', '@typescript-eslint/no-explicit-any'],
    ['a non-null !', 'export const f = (x?: number): number => x!;\n', '@typescript-eslint/no-non-null-assertion'],
    [
      'a type imported as a value',
      `import { Tensor } from '@tensorflow/tfjs-core';\nexport type T = Tensor;\n`,
      '@typescript-eslint/consistent-type-imports',
    ],
    ['Math.random', 'export const x = Math.random();\n', 'no-restricted-properties'],
    ['unseeded tfjs draws', `${tf}export const x = tf.randomNormal([1]);\n`, 'no-restricted-syntax'],
    ['tf.einsum', `${tf}export const x = tf.einsum('ij->ji', tf.eye(2));\n`, 'no-restricted-syntax'],
    ['console', 'console.log(1);\n', 'no-console'],
    ['a chained tensor method', chained, 'selfsup/no-chained-tensor-methods'],
    [
      'a return type left out',
      'export function f() { return 1; }\n',
      '@typescript-eslint/explicit-module-boundary-types',
    ],
  ])('%s', async (_, code, rule) => {
    expect(await firing(ops, code)).toContain(rule);
  });

  it('let functions of tfjs, and methods that are no operations, pass', async () => {
    const code = `${tf}export function f(x: tf.Tensor): tf.Tensor {\n  x.dataSync();\n  return tf.sum(x);\n}\n`;
    expect(await firing(ops, code)).toEqual([]);
  });

  it('let the command line print', async () => {
    expect(await firing(commandLine, 'console.log(1);\n')).toEqual([]);
  });
});
