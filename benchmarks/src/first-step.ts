// Seconds from the real command in a new process to the end of its first step, all crops.
//   npm run bench:first-step -- DATA [recipe...] [arch...]          (DATA: any folder that `selfsup train --data` takes)
import { appendResult, spreadOf } from '@selfsup/bench-kit';
import { presetOf, selection } from './setting.js';
import { followTraining } from './training-run.js';
import { here } from './workers.js';

const ROUNDS = Number(process.env['ROUNDS'] ?? 3);
const BATCH = 8;

const [data, ...words] = process.argv.slice(2);
if (data === undefined) throw new RangeError('benchmarks: expected a folder of images, got none');

const { recipes, archs } = selection(words, { recipes: ['simdino'], archs: ['vit_small'] });
for (const arch of archs) {
  for (const recipe of recipes) {
    const setting = ['--preset', presetOf(recipe), '--arch', arch, '--batch-size', `${BATCH}`, '--groups', '1'];
    const taken: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await followTraining([recipe, '--data', data, '--steps', '1', ...setting], ({ seconds }) => taken.push(seconds));
    }
    const { min, median, max } = spreadOf(taken);
    const row = {
      recipe,
      arch,
      batch: BATCH,
      rounds: ROUNDS,
      medianSeconds: median.toFixed(2),
      minSeconds: min.toFixed(2),
      maxSeconds: max.toFixed(2),
    };
    process.stdout.write(`${JSON.stringify(row)}\n`);
    appendResult(here('../results/first-step.csv'), row);
  }
}
