// What `--accumulate 4` costs per image: against plain steps on micro-batches, and on the whole batch. Ours alone. Twice:
// parts that are whole groups, as in the published runs, and parts of one group, whose features must be known first.
//   npm run bench:accumulate -- [recipe...] [arch...]
import { appendResult, interleave } from '@selfsup/bench-kit';
import { RECIPE_NAMES, selection, type RecipeName } from './setting.js';
import { here, idleBytes, startOurs, type Side } from './workers.js';

const ROUNDS = Number(process.env['ROUNDS'] ?? 6);
const BATCH = Number(process.env['BATCH'] ?? 16);
const PARTS = 4;
const LOCAL_CROPS = 8;

const { recipes, archs } = selection(process.argv.slice(2), { recipes: RECIPE_NAMES, archs: ['vit_tiny'] });
const { ours: idle } = await idleBytes();

async function measure(recipe: RecipeName, arch: string, groups: number): Promise<void> {
  const setting = { recipe, arch, localCrops: LOCAL_CROPS };
  const sides = {
    accumulated: startOurs({ ...setting, batchSize: BATCH, groups, accumulate: PARTS }),
    micro: startOurs({ ...setting, batchSize: BATCH / PARTS }),
    whole: startOurs({ ...setting, batchSize: BATCH, groups }),
  };
  const { accumulated, micro, whole } = sides;
  const seconds = await interleave({ accumulated: accumulated.step, micro: micro.step, whole: whole.step }, ROUNDS);
  const peakMB = (side: Side): string => (((side.worker.peakMemoryBytes() ?? 0) - idle) / 2 ** 20).toFixed(0);
  const peaks = { accumulated: peakMB(accumulated), micro: peakMB(micro), whole: peakMB(whole) };
  await Promise.all(Object.values(sides).map(({ worker }) => worker.stop()));
  const perImage = {
    accumulated: seconds.accumulated.median / BATCH,
    micro: (seconds.micro.median * PARTS) / BATCH,
    whole: seconds.whole.median / BATCH,
  };
  const row = {
    recipe,
    arch,
    batch: BATCH,
    accumulate: PARTS,
    groups,
    rounds: ROUNDS,
    accumulatedSecondsPerImage: perImage.accumulated.toFixed(4),
    microSecondsPerImage: perImage.micro.toFixed(4),
    wholeSecondsPerImage: perImage.whole.toFixed(4),
    ratioToMicro: (perImage.accumulated / perImage.micro).toFixed(3),
    ratioToWhole: (perImage.accumulated / perImage.whole).toFixed(3),
    accumulatedMinSeconds: seconds.accumulated.min.toFixed(3),
    microMinSeconds: seconds.micro.min.toFixed(3),
    wholeMinSeconds: seconds.whole.min.toFixed(3),
    accumulatedPeakMB: peaks.accumulated,
    microPeakMB: peaks.micro,
    wholePeakMB: peaks.whole,
  };
  process.stdout.write(`${JSON.stringify(row)}\n`);
  appendResult(here('../results/accumulate.csv'), row);
}

const groupings = (process.env['GROUP_COUNTS'] ?? `${PARTS} 1`).split(' ').map(Number);
for (const arch of archs)
  for (const recipe of recipes) for (const groups of groupings) await measure(recipe, arch, groups);
