// Rate of matrix products on an engine in GFLOP/s, one JSON line: what peers/products.py measures in PyTorch.
import { compileFunction, type Engine } from '@selfsup/compile';
import type { HostArrays, Specs } from '@selfsup/core';
import { Rng, sizeOf } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { chooseEngine } from 'selfsup';
import { ENGINES, type EngineSetting } from './setting.js';

type Shape = readonly [m: number, k: number, n: number];

// Shapes that follow each other in a chain, so that every product has the one before it as its input.
const CHAINS: Readonly<Record<string, readonly Shape[]>> = {
  square: [[2048, 2048, 2048]],
  vit: [
    [3152, 192, 768],
    [3152, 768, 192],
  ],
};
const LINKS = 8;
const ROUNDS = 8;

async function rate(engine: Engine, shapes: readonly Shape[]): Promise<number> {
  const [rows, width] = shapes[0];
  const inputs: Specs = {
    x: { shape: [rows, width], dtype: 'f32' },
    ...Object.fromEntries(shapes.map(([, k, n], i) => [`w${i}`, { shape: [k, n], dtype: 'f32' as const }])),
  };
  const chain = await compileFunction(
    ({ x, ...weights }) => {
      let y = x;
      for (let link = 0; link < LINKS; link++) for (const w of Object.values(weights)) y = tf.matMul(y, w);
      return { sum: tf.sum(y) };
    },
    { engine, inputs },
  );
  const rng = Rng.of(0, 'products');
  const arrays: HostArrays = Object.fromEntries(
    Object.entries(inputs).map(([name, { shape }]) => [name, rng.normals(sizeOf(shape), 1 / Math.sqrt(shape[0]))]),
  );
  const flops = LINKS * shapes.reduce((sum, [m, k, n]) => sum + 2 * m * k * n, 0);
  let best = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const began = performance.now();
    await chain(arrays);
    best = Math.min(best, (performance.now() - began) / 1000);
  }
  await chain.dispose();
  return flops / best / 1e9;
}

const engine = await chooseEngine({ threads: 2, ...ENGINES[process.argv[2] as EngineSetting] });
const rates: Record<string, number> = {};
for (const [name, shapes] of Object.entries(CHAINS)) rates[name] = await rate(engine, shapes);
await engine.dispose();
process.stdout.write(`${JSON.stringify(rates)}\n`);
