// bfloat16 factors against float32 on the CIFAR preset: the same crops, weights and schedule, step by step. For scale, also
// float32 on another engine: what a change of rounding does to a training run anyway.
//   npm run bench:precision -- path/to/pictures [path/to/plugin.so] [recipe...] [bf16] [onnxruntime]
import { appendResult } from '@selfsup/bench-kit';
import { RECIPE_NAMES } from './setting.js';
import { followTraining } from './training-run.js';
import { here } from './workers.js';

const STEPS = Number(process.env['STEPS'] ?? 200);
/** Images of a step; the preset's by default. */
const BATCH = process.env['BATCH'];
/** Steps that the loss at the start and at the end is the mean of. */
const ENDS = 10;

const [data, ...words] = process.argv.slice(2);
if (data === undefined) throw new RangeError('benchmarks: expected a folder of pictures, got none');
// The installed CPU plugin where none is named.
const plugin = words.find((word) => word.includes('/')) ?? 'cpu';

/** How a run is computed, by the name of what is compared with float32 on XLA. */
const ENGINES = {
  f32: ['--engine', 'xla', '--plugin', plugin, '--precision', 'f32'],
  bf16: ['--engine', 'xla', '--plugin', plugin, '--precision', 'bf16'],
  onnxruntime: ['--engine', 'onnxruntime'],
} as const;

function pick<T extends string>(known: readonly T[], defaults: readonly T[]): readonly T[] {
  const named = known.filter((name) => words.includes(name));
  return named.length > 0 ? named : defaults;
}

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;

/** Loss of every step. */
async function losses(recipe: string, how: keyof typeof ENGINES): Promise<number[]> {
  const found: number[] = [];
  const settings = ['--preset', 'cifar-tiny', '--steps', `${STEPS}`, '--set', 'log.everySteps=1', '--probe-every', '0'];
  const batch = BATCH === undefined ? [] : ['--batch-size', BATCH];
  await followTraining([recipe, '--data', data, ...settings, ...batch, ...ENGINES[how]], ({ loss }) =>
    found.push(loss),
  );
  return found;
}

for (const recipe of pick(RECIPE_NAMES, ['simdino'])) {
  const exact = await losses(recipe, 'f32');
  const change = mean(exact.slice(-ENDS)) - mean(exact.slice(0, ENDS));
  for (const compared of pick(['bf16', 'onnxruntime'], ['bf16', 'onnxruntime'])) {
    const other = await losses(recipe, compared);
    const differences = exact.map((loss, i) => Math.abs(other[i] - loss));
    const row = {
      recipe,
      preset: 'cifar-tiny',
      plugin: plugin.split('/').at(-1),
      compared,
      batchSize: BATCH ?? 'preset',
      steps: exact.length,
      lossAtStart: mean(exact.slice(0, ENDS)).toFixed(5),
      lossAtEnd: mean(exact.slice(-ENDS)).toFixed(5),
      otherAtEnd: mean(other.slice(-ENDS)).toFixed(5),
      change: change.toFixed(5),
      meanDifference: mean(differences).toExponential(2),
      largestDifference: Math.max(...differences).toExponential(2),
      meanOfChange: (mean(differences) / Math.abs(change)).toExponential(2),
    };
    process.stdout.write(`${JSON.stringify(row)}\n`);
    appendResult(here('../results/precision.csv'), row);
  }
}
