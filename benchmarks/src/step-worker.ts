// One whole training step for every line on stdin, one JSON line each: our side of step.ts.
import { createInterface } from 'node:readline';
import { prepareTraining, recipeOf, resolveConfig, syntheticBatch } from '@selfsup/recipes';
import { chooseEngine } from 'selfsup';

const [name, arch, batchSize, localCrops] = process.argv.slice(2);
const { config } = resolveConfig({
  recipe: name,
  preset: name === 'dino' ? 'imagenet-vits16' : 'imagenet-vitb16',
  overrides: [{ arch, batchSize: Number(batchSize), groups: 1, crops: { local: { count: Number(localCrops) } } }],
});
const recipe = recipeOf(config);
const engine = await chooseEngine({ threads: 2 });
const training = await prepareTraining(recipe, engine);
await training.store.load(training.initialState());
let step = 0;
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'end') break;
  const batch = syntheticBatch(recipe, step++);
  const began = performance.now();
  const { loss } = await training.run(batch);
  process.stdout.write(`${JSON.stringify({ seconds: (performance.now() - began) / 1000, loss: loss[0] })}\n`);
}
await training.dispose();
await engine.dispose();
