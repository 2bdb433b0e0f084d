// What the online probe costs at its defaults: its time against that of the steps between two of its measurements.
//   npm run bench:probe -- DATA [recipe...]          (DATA: class folders, or a folder of CIFAR binaries)
import { appendResult } from '@selfsup/bench-kit';
import { vitConfig } from '@selfsup/backbone-vit';
import { openDataset } from '@selfsup/datasets';
import { probeInterval, resolveConfig, train } from '@selfsup/recipes';
import { chooseEngine } from 'selfsup';
import { selection } from './setting.js';
import { here } from './workers.js';

/** Measured more often than by default, to see several in a short run: what one costs stays the same. */
const EVERY = 10;
const STEPS = Number(process.env['STEPS'] ?? 50);
const ALLOWED_SHARE = 0.03;

const [data, ...words] = process.argv.slice(2);
if (data === undefined) throw new RangeError('benchmarks: expected a folder of labelled images, got none');

const dataset = await openDataset(data, { split: 'train' });
const probe = { train: dataset, test: await openDataset(data, { split: 'test' }) };
for (const recipe of selection(words, { recipes: ['simdino', 'dino'], archs: [] }).recipes) {
  const preset = resolveConfig({ recipe, preset: 'cifar-tiny' }).config;
  const { config } = resolveConfig({
    recipe,
    preset: 'cifar-tiny',
    overrides: [{ length: { steps: STEPS, warmupSteps: 1 }, probe: { everySteps: EVERY } }],
  });
  const engine = await chooseEngine({});
  const { secondsPerStep, probeSeconds } = await train({ config, dataset, engine, probe }).finally(() =>
    engine.dispose(),
  );
  // Its preparations are in it, which a run of the usual length spreads over more measurements.
  const seconds = probeSeconds / Math.ceil(STEPS / EVERY);
  const interval = probeInterval(preset, vitConfig(preset.arch, preset.backbone), preset.probe.images);
  const share = seconds / (interval * secondsPerStep + seconds);
  const row = {
    recipe,
    preset: preset.preset,
    images: preset.probe.images,
    everySteps: interval,
    secondsPerStep: secondsPerStep.toFixed(3),
    probeSeconds: seconds.toFixed(3),
    share: share.toFixed(4),
    withinBound: share < ALLOWED_SHARE ? 'yes' : 'no',
  };
  process.stdout.write(`${JSON.stringify(row)}\n`);
  appendResult(here('../results/probe.csv'), row);
}
