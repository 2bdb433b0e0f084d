import { type XlaOptions, xlaEngine } from '@selfsup/engine-xla';
import { type HostArrays, Rng } from '@selfsup/core';
import {
  type Overrides,
  initialState,
  prepareTraining,
  type Recipe,
  recipeOf,
  resolveConfig,
} from '../../src/index.js';

const IMAGES = 16;
const WARMUP_STEPS = 5;
/** Steps that are compared: those of the warm-up and twenty more. */
export const STEPS = WARMUP_STEPS + 20;

/** Where a run takes place. */
export type Devices = Pick<XlaOptions, 'devices' | 'state'>;

export interface DeviceTrajectory {
  readonly losses: readonly number[];
  /** Distance the student went, over its length at the start: |w - w0| / |w0|. */
  readonly moved: number;
}

/**
 * Sixteen images of 3 x 3 patches, two blocks, stochastic depth in the second alone: images that skip all attention have
 * the same CLS token to the last digit, and KoLeo takes the logarithm of their distance, which is made of rounding.
 */
function tiny(recipe: string, groups: number, dropPathRows: 'chosen' | 'all'): Overrides {
  const second = recipe.endsWith('v2');
  return {
    backbone: {
      imageSize: 24,
      patchSize: 8,
      width: 32,
      heads: 2,
      depth: 2,
      dropPathRate: 0.2,
      dropPathRule: 'linear',
      dropPathRows,
    },
    crops: { global: { size: 24 }, local: { size: 16, count: 2 } },
    head: { hiddenWidth: 64, width: 32, ...(recipe.startsWith('dino') ? { prototypes: 64 } : {}) },
    ...(second ? { masks: { ratio: [0.2, 0.6] } } : {}),
    batchSize: IMAGES,
    groups,
  };
}

/** Views of pictures that differ in colour and stripes. */
function crops({ batch }: Recipe, step: number): HostArrays {
  const arrays: HostArrays = {};
  for (const [name, { shape }] of Object.entries(batch).filter(([key]) => key.startsWith('crops.'))) {
    const [views, height, width, channels] = shape;
    const data = new Uint8Array(views * height * width * channels);
    for (let view = 0, at = 0; view < views; view++) {
      const image = Rng.of(3, 'picture', step, view % IMAGES);
      const [fx, fy] = [image.uniform(-1, 1), image.uniform(-1, 1)];
      const colours = Array.from({ length: 2 * channels }, () => image.uniform(0, 255));
      const shift = Rng.of(3, name, step, view).uniform(0, 6);
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
          const share = 0.5 + 0.5 * Math.sin(fx * x + fy * y + shift);
          for (let c = 0; c < channels; c++) data[at++] = share * colours[c] + (1 - share) * colours[channels + c];
        }
    }
    arrays[name] = data;
  }
  return arrays;
}

/** Trains from the usual start; the same numbers come in whatever the devices. */
export async function deviceTrajectory(
  plugin: string,
  recipe: string,
  groups: number,
  devices: Devices,
  changes: Overrides = {},
): Promise<DeviceTrajectory> {
  const rows = (devices.devices ?? 1) > 1 ? 'all' : 'chosen';
  const { config } = resolveConfig({ recipe, preset: 'cifar-tiny', overrides: [tiny(recipe, groups, rows), changes] });
  const made = recipeOf(config);
  const engine = await xlaEngine({ plugin, ...devices });
  try {
    const training = await prepareTraining(made, engine);
    const start = initialState(made);
    await training.store.load(start);
    const schedule = made.schedule({ totalSteps: 2 * STEPS, warmupSteps: WARMUP_STEPS, stepsPerEpoch: 10 });
    const losses: number[] = [];
    for (let step = 0; step < STEPS; step++) {
      const { loss } = await training.run({ ...crops(made, step), ...made.draw(step), ...schedule.scalars(step) });
      losses.push(loss[0]);
    }
    const end = await training.store.read(['student.']);
    let distance = 0;
    let length = 0;
    for (const [name, values] of Object.entries(end)) {
      values.forEach((value, i) => {
        distance += (value - start[name][i]) ** 2;
        length += start[name][i] ** 2;
      });
    }
    return { losses, moved: Math.sqrt(distance / length) };
  } finally {
    await engine.dispose();
  }
}

/** Largest difference of losses, over the size of the loss where that is above 1. */
export function largestDifference(a: DeviceTrajectory, b: DeviceTrajectory): number {
  return Math.max(...a.losses.map((loss, i) => Math.abs(loss - b.losses[i]) / Math.max(1, Math.abs(loss))));
}
