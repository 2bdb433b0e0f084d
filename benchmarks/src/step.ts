// Whole training steps against eager PyTorch, rounds interleaved, both with two threads.
//   npm run bench -- [recipe...] [arch...] [engine...]          (PYTHON=path/to/python with torch)
import { appendResult, interleave, type Spread } from '@selfsup/bench-kit';
import { torchVariants } from './pytorch.js';
import { RECIPE_NAMES, selection, type EngineSetting, type Setting } from './setting.js';
import { here, idleBytes, ourProducts, startOurs, startTorch, torchProducts, type ProductRates } from './workers.js';

const ROUNDS = Number(process.env['ROUNDS'] ?? 10);
const WARM_UP = 2;

const { recipes, archs, engines } = selection(process.argv.slice(2), {
  recipes: RECIPE_NAMES,
  archs: ['vit_tiny', 'vit_small'],
});
const { variants, note } = torchVariants();
const print = (text: string): boolean => process.stdout.write(`${text}\n`);
print(note);

const told = ({ square, vit }: ProductRates): string =>
  `2048 x 2048 x 2048 ${square.toFixed(0)}, 3152 x 192 x 768 ${vit.toFixed(0)} GFLOP/s`;
const torchRates: Record<string, ProductRates> = {};
for (const variant of variants) {
  torchRates[variant.name] = await torchProducts(variant);
  print(`products, PyTorch ${variant.what}: ${told(torchRates[variant.name])}`);
}
const megabytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);

/** What belongs to an engine, and is the same for all of its rows. */
interface Prepared {
  readonly rates: ProductRates;
  readonly idle: Awaited<ReturnType<typeof idleBytes>>;
}

async function prepared(engine: EngineSetting): Promise<Prepared> {
  const rates = await ourProducts(engine);
  print(`products, ${engine}: ${told(rates)}`);
  return { rates, idle: await idleBytes(engine) };
}

/** A row for every way of running PyTorch. */
async function measure(setting: Setting, { rates: ourRates, idle }: Prepared): Promise<void> {
  const ours = startOurs(setting);
  const torch = variants.map((variant) => ({ name: variant.name, side: startTorch(setting, variant) }));
  const rounds = { ours: ours.step, ...Object.fromEntries(torch.map(({ name, side }) => [name, side.step])) };
  const seconds: Record<string, Spread> = await interleave(rounds, ROUNDS, WARM_UP);
  const ourPeak = (ours.worker.peakMemoryBytes() ?? 0) - idle.ours;
  const torchPeaks = torch.map(({ side }) => (side.worker.peakMemoryBytes() ?? 0) - idle.torch);
  await Promise.all([ours, ...torch.map(({ side }) => side)].map(({ worker }) => worker.stop()));
  const { recipe, engine, arch, batchSize, localCrops } = setting;
  for (const [i, { name, side }] of torch.entries()) {
    if (side.parameters !== ours.parameters) {
      throw new Error(
        `benchmarks: ${recipe} ${arch} trains ${ours.parameters} parameters, its peer ${side.parameters}`,
      );
    }
    const row = {
      recipe,
      engine,
      what: `${recipe} step, 2 x 224 + ${localCrops} x 96, batch ${batchSize}`,
      arch,
      rounds: ROUNDS,
      oursSeconds: seconds['ours'].median.toFixed(3),
      torchSeconds: seconds[name].median.toFixed(3),
      timeRatio: (seconds['ours'].median / seconds[name].median).toFixed(3),
      oursMinSeconds: seconds['ours'].min.toFixed(3),
      torchMinSeconds: seconds[name].min.toFixed(3),
      oursPeakMB: megabytes(ourPeak),
      torchPeakMB: megabytes(torchPeaks[i]),
      memoryRatio: (ourPeak / torchPeaks[i]).toFixed(3),
      oursSquareGflops: ourRates.square.toFixed(0),
      torchSquareGflops: torchRates[name].square.toFixed(0),
      oursVitGflops: ourRates.vit.toFixed(0),
      torchVitGflops: torchRates[name].vit.toFixed(0),
      torch: variants[i].what,
    };
    print(JSON.stringify(row));
    appendResult(here('../results/step.csv'), row);
  }
}

for (const engine of engines) {
  const common = await prepared(engine);
  for (const arch of archs)
    for (const recipe of recipes) await measure({ recipe, engine, arch, batchSize: 8, localCrops: 8 }, common);
}
