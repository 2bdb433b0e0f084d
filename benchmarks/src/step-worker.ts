// One whole training step for every line on stdin, one JSON line each: our side of step.ts and accumulate.ts.
import { createInterface } from 'node:readline';
import { sizeOf } from '@selfsup/core';
import { initialState, prepareTraining, recipeOf, syntheticBatch, trainedNames } from '@selfsup/recipes';
import { chooseEngine } from 'selfsup';
import { configOf, ENGINES, type Setting } from './setting.js';

const THREADS = 2;

const setting = JSON.parse(process.argv[2]) as Setting;
const recipe = recipeOf(configOf(setting));
const { networks } = recipe;
const parameters = trainedNames(networks).reduce((sum, name) => sum + sizeOf(networks.specs[name].shape), 0);
const engine = await chooseEngine({ threads: THREADS, ...ENGINES[setting.engine ?? 'onnxruntime'] });
const training = await prepareTraining(recipe, engine);
await training.store.load(initialState(recipe));
let step = 0;
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'end') break;
  const batch = syntheticBatch(recipe, step++);
  const began = performance.now();
  const { loss } = await training.run(batch);
  const seconds = (performance.now() - began) / 1000;
  process.stdout.write(`${JSON.stringify({ seconds, loss: loss[0], parameters })}\n`);
}
await training.dispose();
await engine.dispose();
