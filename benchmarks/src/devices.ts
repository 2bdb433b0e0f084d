// Whole steps on two virtual devices of XLA against one, on the same two cores, rounds in turn.
//   npm run bench:devices -- [recipe...] [arch...]
import { appendResult, interleave } from '@selfsup/bench-kit';
import { selection } from './setting.js';
import { here, startOurs } from './workers.js';

const ROUNDS = Number(process.env['ROUNDS'] ?? 15);
const WARM_UP = 2;

const { recipes, archs } = selection(process.argv.slice(2), { recipes: ['simdino'], archs: ['vit_tiny'] });
for (const arch of archs) {
  for (const recipe of recipes) {
    const common = { recipe, arch, batchSize: 8, localCrops: 8 };
    const one = startOurs({ ...common, engine: 'xla' });
    const two = startOurs({ ...common, engine: 'xla-2-devices' });
    const seconds = await interleave({ one: one.step, two: two.step }, ROUNDS, WARM_UP);
    await Promise.all([one.worker.stop(), two.worker.stop()]);
    const row = {
      recipe,
      arch,
      batch: common.batchSize,
      rounds: ROUNDS,
      oneSeconds: seconds.one.median.toFixed(3),
      twoSeconds: seconds.two.median.toFixed(3),
      ratio: (seconds.two.median / seconds.one.median).toFixed(3),
      oneMinSeconds: seconds.one.min.toFixed(3),
      twoMinSeconds: seconds.two.min.toFixed(3),
    };
    process.stdout.write(`${JSON.stringify(row)}\n`);
    appendResult(here('../results/devices.csv'), row);
  }
}
