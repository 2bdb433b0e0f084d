// Memory of a tiny run over 2,000 steps of the real command: it must not grow.
//   npm run bench:memory -- DATA [recipe...]          (DATA: any folder that `selfsup train --data` takes)
import { appendResult, peakMemoryBytes, residentBytes } from '@selfsup/bench-kit';
import { selection } from './setting.js';
import { followTraining } from './training-run.js';
import { here } from './workers.js';

const FIRST = 100;
const LAST = 2000;
const EVERY = 20;
const BATCH = 16;
const ALLOWED_GROWTH = 1.05;

const [data, ...words] = process.argv.slice(2);
if (data === undefined) throw new RangeError('benchmarks: expected a folder of images, got none');

const megabytes = (bytes: number | undefined): string => ((bytes ?? 0) / 2 ** 20).toFixed(1);

for (const recipe of selection(words, { recipes: ['simdino'], archs: [] }).recipes) {
  const resident = new Map<number, number>();
  const peak = new Map<number, number>();
  const setting = ['--preset', 'cifar-tiny', '--batch-size', `${BATCH}`, '--set', `log.everySteps=${EVERY}`];
  await followTraining([recipe, '--data', data, '--steps', `${LAST}`, ...setting], ({ step, pid }) => {
    resident.set(step, residentBytes(pid) ?? 0);
    peak.set(step, peakMemoryBytes(pid) ?? 0);
  });
  const [first, last] = [FIRST, LAST].map((step) => resident.get(step) ?? NaN);
  const row = {
    recipe,
    preset: 'cifar-tiny',
    batch: BATCH,
    residentMBAt100: megabytes(first),
    residentMBAt2000: megabytes(last),
    ratio: (last / first).toFixed(3),
    peakMBAt100: megabytes(peak.get(FIRST)),
    peakMBAt2000: megabytes(peak.get(LAST)),
    withinBound: last <= ALLOWED_GROWTH * first ? 'yes' : 'no',
  };
  process.stdout.write(`${JSON.stringify(row)}\n`);
  appendResult(here('../results/memory.csv'), row);
}
