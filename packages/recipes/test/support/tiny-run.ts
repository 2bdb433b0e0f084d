import { datasetFrom, type Dataset } from '@selfsup/datasets';
import { resolveConfig, type RecipeConfig } from '../../src/index.js';

const SIZE = 16;
const PICTURES = 4;

/** SimDINO on one block of width 8: eight steps in no time. */
export const tinyConfig: RecipeConfig = resolveConfig({
  recipe: 'simdino',
  preset: 'cifar-tiny',
  overrides: [
    {
      backbone: { imageSize: SIZE, patchSize: 8, width: 8, depth: 1, heads: 1 },
      crops: { global: { size: SIZE }, local: { count: 0 } },
      head: { layers: 1, width: 4 },
      length: { steps: 8, warmupSteps: 1 },
      log: { checkpointEverySteps: 2 },
      batchSize: PICTURES,
      groups: 1,
    },
  ],
}).config;

/** Four pictures of a pattern. */
export function tinyDataset(): Promise<Dataset> {
  const data = Uint8Array.from({ length: SIZE * SIZE * 3 }, (_, i) => (i * 37) % 256);
  return datasetFrom(
    Array.from({ length: PICTURES }, (_, i) => ({
      source: { kind: 'rgb', data, width: SIZE, height: SIZE },
      name: `${i}`,
    })),
  );
}
