import '@tensorflow/tfjs';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Rng } from '@selfsup/core';
import { datasetFrom } from '@selfsup/datasets';
import { resolveConfig, type TrainResult } from '@selfsup/recipes';
import { afterAll, expect, it } from 'vitest';
import { cpuPlugin } from '../../../packages/engine-xla/test/plugin.js';
import { trainOnDevices } from '../src/train.js';

const plugin = cpuPlugin();
const folder = mkdtempSync(join(tmpdir(), 'selfsup-gpu-training-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Pictures of two colours each. */
const pictures = Array.from({ length: 8 }, (_, i) => {
  const rng = Rng.of(0, 'picture', i);
  const colours = Array.from({ length: 6 }, () => rng.integer(256));
  const data = Uint8Array.from({ length: 32 * 32 * 3 }, (_, at) => colours[(at % 3) + (at < 1536 ? 0 : 3)]);
  return { source: { kind: 'rgb', data, width: 32, height: 32 } as const, name: `picture ${i}` };
});

const { config } = resolveConfig({
  recipe: 'simdino',
  preset: 'cifar-tiny',
  overrides: [
    {
      backbone: { imageSize: 16, patchSize: 8, width: 16, depth: 1, heads: 1 },
      crops: { global: { size: 16 }, local: { count: 0 } },
      head: { layers: 1, width: 8 },
      length: { steps: 3, warmupSteps: 1 },
      batchSize: 8,
      groups: 1,
    },
  ],
});

async function trained(devices: number): Promise<TrainResult> {
  const dataset = await datasetFrom(pictures);
  const engine = { plugin: plugin as string, devices };
  return trainOnDevices({ config, dataset, engine, out: join(folder, String(devices)), workers: 0 });
}

it.skipIf(plugin === undefined)('trains on two devices as on one', async () => {
  const [one, two] = [await trained(1), await trained(2)];
  expect(two.steps).toBe(3);
  expect(two.loss).toBeCloseTo(one.loss, 5);
});
