import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openRun, type Run } from '@selfsup/checkpoint';
import type { HostTensor } from '@selfsup/core';
import { decode } from '@selfsup/datasets/decode';
import { nearestNeighbours } from '@selfsup/eval-suite';
import { pixelFeatures, RECIPES, recipeOf, train, trainingStateSpecs } from '@selfsup/recipes';
import { loadEmoji, type EmojiData } from '../demo/emoji.js';
import { machineFacts } from '../doctor/machine.js';
import { runVersions } from '../doctor/versions.js';
import { chooseEngine, type EngineChoice } from '../engines.js';
import { neighbourPicture, type NeighbourRow, type NeighbourTile } from '../show/neighbour-picture.js';
import type { Output } from '../terminal/output.js';
import { createProgress, formatDuration, type Progress } from '../terminal/progress.js';
import { configFromFlags } from './config-flags.js';
import { withInterrupt } from './interrupt.js';
import { knnOfFeatures, splitFeatures, type FeaturesOfSplits } from './knn.js';
import { peakMemoryBytes } from './peak-memory.js';
import { storedRun } from './resumed-run.js';
import { runFolder } from './run-folder.js';
import { defaultWorkers } from './train.js';

export interface DemoFlags extends EngineChoice {
  /** Folder of the run; see {@link runFolder}. */
  readonly out?: string;
  readonly resume?: boolean;
  readonly steps?: number;
  readonly seed?: number;
}

const RECIPE = 'simdino';
const PRESET = 'demo';
const K = [20];
const FEATURE_BATCH = 128;
const SHOWN_QUERIES = 10;
const SHOWN_NEIGHBOURS = 5;
const DEFAULT_OUT = 'runs/demo';

/** What the text suggests where raw pixels still win, and how long that takes as fast as this run went. */
function longer(steps: number, secondsPerStep: number): string {
  // The preset's own are enough with its seed.
  const usual = RECIPES[RECIPE].presets[PRESET].config.length.steps ?? 0;
  const next = steps < usual ? usual : 2000;
  return `npm run demo -- --steps ${next} (about ${formatDuration(next * secondsPerStep)} at this pace)`;
}

const bare = (prefix: string, state: Readonly<Record<string, HostTensor>>): Record<string, HostTensor> =>
  Object.fromEntries(
    Object.entries(state).flatMap(([name, t]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), t]] : [])),
  );

/** Evenly spread held-out pictures with their nearest trained-on ones under both sets of features. */
async function neighbourRows(
  data: EmojiData,
  before: FeaturesOfSplits,
  after: FeaturesOfSplits,
): Promise<NeighbourRow[]> {
  const near = async ({ train: bank, test }: FeaturesOfSplits, queries: number[]): Promise<Int32Array> => {
    const width = test.shape[1];
    const rows = new Float32Array(queries.length * width);
    queries.forEach((q, i) => rows.set(test.data.subarray(q * width, (q + 1) * width), i * width));
    return (await nearestNeighbours({ shape: [queries.length, width], data: rows }, bank, SHOWN_NEIGHBOURS)).indices;
  };
  const queries = Array.from({ length: SHOWN_QUERIES }, (_, i) =>
    Math.floor(((i + 0.5) * data.test.size) / SHOWN_QUERIES),
  );
  const [first, second] = [await near(before, queries), await near(after, queries)];
  return Promise.all(
    queries.map(async (query, row) => {
      const found = (all: Int32Array): Promise<NeighbourTile[]> =>
        Promise.all(
          Array.from(all.subarray(row * SHOWN_NEIGHBOURS, (row + 1) * SHOWN_NEIGHBOURS), async (index) => ({
            image: await decode(data.train.source(index)),
            same: data.train.label(index) === data.test.label(query),
          })),
        );
      return {
        query: await decode(data.test.source(query)),
        groups: [await found(first), await found(second)],
      };
    }),
  );
}

/** `selfsup demo`: the whole story on pictures that come along, in a few minutes. */
export async function demo(flags: DemoFlags, output: Output): Promise<void> {
  const began = performance.now();
  const resuming = flags.resume === true;
  const out = flags.out ?? runFolder(DEFAULT_OUT, resuming);
  const resumed = resuming ? await storedRun(out, RECIPE, PRESET) : undefined;
  const { config } = await configFromFlags({ ...flags, recipe: RECIPE, preset: PRESET }, resumed?.settings);
  const engine = await chooseEngine(flags);
  let run: Run | undefined;
  try {
    const opened = (run = await openRun(out, {
      resume: resuming,
      state: trainingStateSpecs(config),
      config: { ...config, resolved: { data: 'emoji', engine: engine.name }, environment: machineFacts() },
      versions: runVersions(),
    }));
    const { networks } = recipeOf(config);
    const { imageSize } = networks.backbone.config;
    let drawing: Progress | undefined;
    const data = await loadEmoji(imageSize, (done, total) => {
      drawing ??= createProgress({ label: 'drawing emoji', total });
      drawing.update(done);
    });
    drawing?.finish();
    const classes = data.train.classes?.length ?? 0;
    output.note(
      `${data.train.size} pictures to learn from (their categories are not used), ${data.test.size} of other drawings to test with, ${classes} categories`,
    );

    const features = (weights: Record<string, HostTensor>): Promise<FeaturesOfSplits> =>
      splitFeatures(engine, networks.backbone, weights, data, FEATURE_BATCH);
    const rawPixels = {
      train: await pixelFeatures(data.train, imageSize),
      test: await pixelFeatures(data.test, imageSize),
    };
    const { top1: pixels } = await knnOfFeatures(rawPixels, classes, K);
    const before = await features(bare('backbone.', networks.init(config.seed)));
    const { top1: randomInit } = await knnOfFeatures(before, classes, K);
    if ((resumed?.step ?? 0) === 0) opened.logMetrics({ step: 0, knn: { top1: randomInit } });
    output.note(
      `k-NN on held-out drawings: random initialisation ${randomInit.toFixed(1)} %, raw pixels ${pixels.toFixed(1)} %`,
    );

    let progress: Progress | undefined;
    const result = await withInterrupt(output, (signal) =>
      train({
        config,
        dataset: data.train,
        engine,
        run: opened,
        keep: ['teacher.backbone.'],
        signal,
        workers: defaultWorkers(),
        onStart: ({ totalSteps, startStep }) => {
          progress = createProgress({ label: 'step', total: totalSteps, start: startStep });
        },
        onStep: (step, loss) => progress?.update(step, `loss ${loss.toFixed(4)}`),
        onNote: (text) => output.note(text),
      }).finally(() => progress?.finish()),
    );
    const after = await features(bare('teacher.backbone.', result.state));
    const { top1: trained } = await knnOfFeatures(after, classes, K);
    opened.logMetrics({ step: result.steps, knn: { top1: trained } });
    const picture = join(out, 'neighbours.png');
    await writeFile(
      picture,
      await neighbourPicture(await neighbourRows(data, before, after), {
        groups: ['nearest before training', 'nearest after (green: same category)'],
      }),
    );
    const seconds = (performance.now() - began) / 1000;
    const { state, ...numbers } = result;
    void state;
    output.result(
      {
        recipe: config.recipe,
        arch: config.arch,
        ...numbers,
        peakMemoryBytes: peakMemoryBytes(),
        out,
        knn: { randomInit, before: randomInit, after: trained, pixels },
        picture,
        seconds,
      },
      [
        `k-NN accuracy on held-out drawings (k ${K[0]}, ${classes} categories):`,
        `  random initialisation  ${randomInit.toFixed(1)} %`,
        `  ${`after ${result.steps} steps`.padEnd(23)}${trained.toFixed(1)} %   (${trained >= randomInit ? '+' : ''}${(trained - randomInit).toFixed(1)} points)`,
        `  raw pixels             ${pixels.toFixed(1)} %${trained < pixels ? `   still better than this run; longer: ${longer(result.steps, result.secondsPerStep)}` : ''}`,
        `took ${formatDuration(seconds)}, ${result.secondsPerStep.toFixed(3)} s a step, ${(peakMemoryBytes() / 2 ** 20).toFixed(0)} MB`,
        `picture: ${picture} (green frames: of the same category)`,
        `report: npx selfsup report ${out}`,
        'next, on your own pictures: npx selfsup train simdino --preset cifar-tiny --data path/to/folder --out runs/mine',
      ].join('\n'),
    );
  } finally {
    await run?.close();
    await engine.dispose();
  }
}
