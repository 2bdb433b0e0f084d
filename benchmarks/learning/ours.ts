// Our side of the comparison: trains as run.json says, one JSON line per evaluated step (as reference/train.py does).
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { vit } from '@selfsup/backbone-vit';
import { peakMemoryBytes, spreadOf } from '@selfsup/bench-kit';
import { writeSafetensors } from '@selfsup/checkpoint';
import type { Engine } from '@selfsup/compile';
import type { HostArrays, HostTensor } from '@selfsup/core';
import { openDataset, type Dataset } from '@selfsup/datasets';
import { knnClassify } from '@selfsup/eval-suite';
import { createLoader, datasetFeatures, featureExtractor, recipeOf, train } from '@selfsup/recipes';
import { chooseEngine } from 'selfsup';
import type { RunFile } from './prepare.js';

const FEATURE_BATCH = 250;

const run = JSON.parse(readFileSync(process.argv[2], 'utf8')) as RunFile;
const dataset = await openDataset(run.data, { split: 'train' });
const engine = await chooseEngine({ threads: run.threads });
try {
  await (run.batches === undefined ? onOwnBatches(engine) : onStoredBatches(engine, run.batches));
} finally {
  await engine.dispose();
}

function report(values: Readonly<Record<string, number | undefined>>): void {
  process.stdout.write(`${JSON.stringify(values)}\n`);
}

/** k-NN accuracy of held-out pictures with backbone weights by their bare names. */
async function knnAccuracy(engine: Engine, weights: HostArrays, test: Dataset): Promise<number> {
  const backbone = vit(run.vit);
  const extractor = await featureExtractor({ engine, backbone, batchSize: FEATURE_BATCH, weights });
  try {
    const features = (part: Dataset): ReturnType<typeof datasetFeatures> =>
      datasetFeatures(extractor, part, backbone.config.imageSize);
    const [known, asked] = [await features(dataset), await features(test)];
    const { top1 } = await knnClassify({
      trainFeatures: known,
      trainLabels: known.labels,
      testFeatures: asked,
      testLabels: asked.labels,
      classes: dataset.classes?.length ?? 0,
      k: [run.k],
      temperature: run.temperature,
    });
    return top1;
  } finally {
    await extractor.dispose();
  }
}

function bare(prefix: string, arrays: Readonly<HostArrays>): HostArrays {
  const under = Object.entries(arrays).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(under.map(([name, data]) => [name.slice(prefix.length), data]));
}

async function onOwnBatches(engine: Engine): Promise<void> {
  const { config, evaluateEvery } = run;
  const test = await openDataset(run.data, { split: 'test' });
  const seconds: number[] = [];
  let losses: number[] = [];
  let stepEnd: number | undefined;
  const evaluate = async (step: number, backbone: HostArrays): Promise<void> => {
    report({
      step,
      top1: await knnAccuracy(engine, backbone, test),
      loss: losses.length === 0 ? undefined : losses.reduce((sum, loss) => sum + loss, 0) / losses.length,
      secondsPerStep: seconds.length === 0 ? undefined : spreadOf(seconds).median,
      peakMemoryBytes: peakMemoryBytes(),
    });
    losses = [];
    stepEnd = undefined;
  };
  const start = recipeOf(config).networks.init(config.seed);
  await evaluate(0, bare('backbone.', Object.fromEntries(Object.entries(start).map(([name, t]) => [name, t.data]))));
  await train({
    config,
    dataset,
    engine,
    onStep: (_, loss) => {
      const now = performance.now();
      if (stepEnd !== undefined) seconds.push((now - stepEnd) / 1000);
      stepEnd = now;
      losses.push(loss);
    },
    inspect: {
      everySteps: evaluateEvery,
      look: async (step, read) => evaluate(step, bare('teacher.backbone.', await read(['teacher.backbone.']))),
    },
  });
}

/** Trains on our usual batches, which are stored for the other side: pictures, masks and dropped rows. */
async function onStoredBatches(engine: Engine, folder: string): Promise<void> {
  const recipe = recipeOf(run.config);
  const loader = await createLoader({ recipe, dataset, startStep: 0, workers: 1 });
  try {
    for (let step = 0; step < (run.config.length.steps ?? 0); step++) {
      const { arrays } = await loader.next();
      const tensors = Object.entries(arrays).map(([name, data]): [string, HostTensor] => [
        name,
        { ...recipe.batch[name], data },
      ]);
      await writeSafetensors(join(folder, `${String(step).padStart(5, '0')}.safetensors`), Object.fromEntries(tensors));
    }
  } finally {
    await loader.close();
  }
  await train({ config: run.config, dataset, engine, onStep: (step, loss) => report({ step, loss }) });
}
