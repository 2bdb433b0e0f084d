import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRun, readMetrics, selectParameters } from '@selfsup/checkpoint';
import { onnxruntimeEngine } from '@selfsup/engine-onnxruntime';
import { knnClassify, ridgeProbe } from '@selfsup/eval-suite';
import type { Dataset } from '@selfsup/datasets';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  datasetFeatures,
  featureExtractor,
  type LogRecord,
  openProbe,
  type Overrides,
  initialState,
  prepareTraining,
  probeInterval,
  recipeOf,
  type RecipeConfig,
  resolveConfig,
  train,
  type TrainOptions,
} from '../../src/index.js';
import { ENGINES } from '../engines.js';
import { noisePictures } from '../support/pictures.js';

function tiny(recipe: string, changes: Overrides = {}): RecipeConfig {
  return resolveConfig({
    recipe,
    preset: 'cifar-tiny',
    overrides: [
      {
        crops: { global: { size: 16 }, local: { size: 8, count: 1 } },
        backbone: { imageSize: 16, patchSize: 4, width: 8, heads: 2, depth: 1 },
        head: { hiddenWidth: 8, width: 4 },
        batchSize: 4,
        length: { steps: 7, warmupSteps: 1 },
        log: { everySteps: 2, checkpointEverySteps: 4 },
      },
      changes,
    ],
  }).config;
}

let directory: string;
let pictures: { train: Dataset; test: Dataset };

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'probe-'));
  pictures = { train: await noisePictures(30), test: await noisePictures(12, { seed: 1 }) };
});
afterAll(() => rm(directory, { recursive: true }));

/** Trains and gives what was logged. */
async function records(config: RecipeConfig, options: Partial<TrainOptions> = {}): Promise<LogRecord[]> {
  const engine = await onnxruntimeEngine();
  const found: LogRecord[] = [];
  await train({
    config,
    dataset: pictures.train,
    engine,
    workers: 0,
    onRecord: (record) => found.push(record),
    ...options,
  });
  await engine.dispose();
  return found;
}

describe('the probe', () => {
  it.each([
    ['simdino', {}],
    ['simdino', { accumulate: 2 }],
    ['dinov2', { head: { prototypes: 12 } }],
    ['simdino', { teacher: { policy: 'student-stopgrad' } }],
  ])('leaves every loss of %s as it is (%j)', async (recipe, changes) => {
    const without = await records(tiny(recipe, changes));
    const probe = { probe: { everySteps: 2, images: 30 } };
    const found = await records(tiny(recipe, { ...changes, ...probe }), { probe: pictures });
    expect(found.map(({ step, loss }) => [step, loss])).toEqual(without.map(({ step, loss }) => [step, loss]));
    expect(found.filter(({ knn }) => knn !== undefined).map(({ step }) => step)).toEqual([2, 4, 6, 7]);
    for (const { knn, probe: linear } of found.slice(1)) {
      for (const accuracy of [knn, linear]) {
        expect(accuracy?.top1).toBeGreaterThanOrEqual(0);
        expect(accuracy?.top1).toBeLessThanOrEqual(100);
      }
    }
    expect(without.every(({ knn }) => knn === undefined)).toBe(true);
  });

  it('logs steps of its own where the log has none, and goes on where a run was stopped', async () => {
    const config = tiny('simdino', { probe: { everySteps: 3, images: 30 } });
    const measured = async (run: string, resume: boolean, options: Partial<TrainOptions> = {}): Promise<unknown[]> => {
      const opened = await openRun(join(directory, run), { config: { ...config }, resume });
      try {
        await records(config, { probe: pictures, run: opened, ...options });
      } finally {
        await opened.close();
      }
      const { records: lines } = await readMetrics(join(directory, run));
      return lines.flatMap(({ step, loss, knn, probe }) => (knn === undefined ? [] : [{ step, loss, knn, probe }]));
    };
    const straight = await measured('straight', false);
    expect(straight.map((line) => (line as LogRecord).step)).toEqual([3, 6, 7]);
    const stop = new AbortController();
    const onStep = (step: number): void => (step === 4 ? stop.abort() : undefined);
    await expect(measured('stopped', false, { signal: stop.signal, onStep })).rejects.toMatchObject({
      code: 'INTERRUPTED',
    });
    expect(await measured('stopped', true)).toEqual(straight);
  });

  it.each(Object.entries(ENGINES))('measures the teacher in the engine as evaluation does (%s)', async (_, make) => {
    const engine = await make();
    const recipe = recipeOf(tiny('simdino', { probe: { everySteps: 1, images: 1000 } }));
    const training = await prepareTraining(recipe, engine);
    // Other weights than the student's, so that a mix-up would be seen.
    const teacher = Object.entries(recipe.networks.init(7)).map(([name, { data }]) => [`teacher.${name}`, data]);
    await training.store.load({ ...initialState(recipe), ...Object.fromEntries(teacher) });
    const probe = await openProbe(engine, training.store, recipe, pictures);
    const measured = await probe?.measure();
    expect(probe?.images).toEqual({ train: 30, test: 12 });

    const { backbone } = recipe.networks;
    const state = await training.store.read(['teacher.backbone.']);
    const weights = selectParameters(state, 'teacher.backbone.');
    const extractor = await featureExtractor({ engine, backbone, batchSize: 8, weights });
    const features = {
      trainFeatures: await datasetFeatures(extractor, pictures.train, 16),
      testFeatures: await datasetFeatures(extractor, pictures.test, 16),
    };
    const labelled = {
      ...features,
      trainLabels: features.trainFeatures.labels,
      testLabels: features.testFeatures.labels,
      classes: 2,
    };
    expect(measured?.knn.top1).toBeCloseTo((await knnClassify({ ...labelled, k: [20] })).top1, 6);
    expect(measured?.probe.top1).toBeCloseTo(ridgeProbe(labelled).top1, 6);
    for (const part of [extractor, probe, training, engine]) await part?.dispose();
  });

  it('is left out where it is turned off, or where nothing has a label', async () => {
    const engine = await onnxruntimeEngine();
    const bare = { train: await noisePictures(10, { labelled: false }), test: pictures.test };
    for (const [config, data] of [
      [tiny('simdino', { probe: { everySteps: 0 } }), pictures],
      [tiny('simdino'), bare],
    ] as const) {
      const recipe = recipeOf(config);
      const training = await prepareTraining(recipe, engine);
      expect(await openProbe(engine, training.store, recipe, data)).toBeUndefined();
      await training.dispose();
    }
    await engine.dispose();
  });

  it('comes by default as often as its share of the work allows, in whole intervals of the log', () => {
    const config = tiny('simdino', { batchSize: 128, log: { everySteps: 10 } });
    const { backbone } = recipeOf(config).networks;
    // A picture has 17 tokens; a step 128 times two views of 17 and one of 5, forward and backward.
    const work = 128 * 3 * (2 * 17 + 5);
    for (const images of [3, 300, 1200, 5000]) {
      const steps = probeInterval(config, backbone.config, images);
      expect(steps % 10).toBe(0);
      expect((images * 17) / (steps * work)).toBeLessThanOrEqual(0.02);
      if (steps > 10) expect((images * 17) / ((steps - 10) * work)).toBeGreaterThan(0.02);
    }
  });

  it.each([
    [{ everySteps: -1 }, /probe.everySteps/],
    [{ everySteps: 1.5 }, /probe.everySteps/],
    [{ everySteps: 'often' }, /probe.everySteps/],
    [{ images: 2 }, /probe.images/],
  ])('refuses %j', (probe, said) => {
    expect(() => tiny('simdino', { probe })).toThrow(said);
  });
});
