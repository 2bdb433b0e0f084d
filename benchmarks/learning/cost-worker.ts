// One training step for every line on stdin, one JSON line each: what cost.ts measures.
import { createInterface } from 'node:readline';
import { sizeOf } from '@selfsup/core';
import {
  initialState,
  prepareTraining,
  recipeOf,
  syntheticBatch,
  trainedNames,
  type Overrides,
} from '@selfsup/recipes';
import { chooseEngine } from 'selfsup';
import { configOf, STEPS } from './plan.js';

const [name, changes, threads] = process.argv.slice(2);
if (name !== 'idle') {
  const recipe = recipeOf(configOf(name, 0, STEPS, [JSON.parse(changes) as Overrides]));
  const { networks } = recipe;
  const parameters = trainedNames(networks).reduce((sum, one) => sum + sizeOf(networks.specs[one].shape), 0);
  const engine = await chooseEngine({ threads: Number(threads) });
  const training = await prepareTraining(recipe, engine);
  await training.store.load(initialState(recipe));
  let step = 0;
  for await (const line of createInterface({ input: process.stdin })) {
    void line;
    const batch = syntheticBatch(recipe, step++);
    const began = performance.now();
    await training.run(batch);
    process.stdout.write(`${JSON.stringify({ seconds: (performance.now() - began) / 1000, parameters })}\n`);
  }
  await training.dispose();
  await engine.dispose();
}
