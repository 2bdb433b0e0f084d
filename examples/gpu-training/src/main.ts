// npm start -- --data FOLDER --plugin cuda12 --devices 8
import '@tensorflow/tfjs';
import { parseArgs } from 'node:util';
import { enableProdMode } from '@tensorflow/tfjs-core';
import { openDataset } from '@selfsup/datasets';
import { findPlugin } from '@selfsup/engine-xla/plugins';
import { resolveConfig } from '@selfsup/recipes';
import { trainOnDevices } from './train.js';

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    plugin: { type: 'string' },
    devices: { type: 'string', default: '1' },
    recipe: { type: 'string', default: 'simdino' },
    preset: { type: 'string' },
    steps: { type: 'string' },
    out: { type: 'string', default: 'runs/gpu-training' },
    resume: { type: 'boolean', default: false },
    'shard-state': { type: 'boolean', default: false },
  },
});

try {
  if (values.data === undefined) throw new Error('which pictures? Write --data FOLDER');
  enableProdMode();
  const devices = Number(values.devices);
  const { config } = resolveConfig({
    recipe: values.recipe,
    preset: values.preset,
    overrides: [
      // Stochastic depth of DINOv2 by rows: computing all of them spares the devices exchanging the chosen ones.
      { backbone: { dropPathRows: devices > 1 ? 'all' : 'chosen' } },
      values.steps === undefined ? {} : { length: { steps: Number(values.steps) } },
    ],
  });
  const { path, preload } = findPlugin(values.plugin);
  const result = await trainOnDevices({
    config,
    dataset: await openDataset(values.data, { split: 'train' }),
    engine: {
      plugin: path,
      preload,
      devices,
      state: values['shard-state'] ? 'sharded' : 'replicated',
    },
    out: values.out,
    resume: values.resume,
    workers: 4,
    onNote: (text) => console.error(text),
    onRecord: ({ step, loss, imagesPerSecond }) =>
      console.error(`step ${step}: loss ${loss.toFixed(4)}, ${imagesPerSecond.toFixed(0)} images/s`),
  });
  console.log(`${result.steps} steps, ${result.secondsPerStep.toFixed(3)} s each, saved in ${values.out}`);
} catch (problem) {
  console.error(problem instanceof Error ? problem.message : problem);
  process.exitCode = 1;
}
