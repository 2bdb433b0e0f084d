import '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { cpuPlugin } from '../../../engine-xla/test/plugin.js';
import {
  type Devices,
  type DeviceTrajectory,
  deviceTrajectory,
  largestDifference,
  STEPS,
} from '../support/device-trajectory.js';

const plugin = cpuPlugin();

type Case = readonly [string, number, Devices];

const FEW: readonly Case[] = [
  ['simdino', 1, { devices: 2, state: 'replicated' }],
  ['dinov2', 4, { devices: 2, state: 'sharded' }],
];

const ALL: readonly Case[] = ['simdino', 'dino', 'simdinov2', 'dinov2'].flatMap((recipe) =>
  [1, 4].flatMap((groups) =>
    [2, 4].flatMap((devices) =>
      (['replicated', 'sharded'] as const).map((state) => [recipe, groups, { devices, state }] as const),
    ),
  ),
);

// Compiling takes most of the time: every combination takes twenty minutes.
const cases = process.env['SELFSUP_ALL_DEVICES'] === undefined ? FEW : ALL;

describe.skipIf(plugin === undefined)('the same global batch', () => {
  const alone = new Map<string, Promise<DeviceTrajectory>>();
  const onOne = (recipe: string, groups: number): Promise<DeviceTrajectory> => {
    const key = `${recipe} ${groups}`;
    const known = alone.get(key) ?? deviceTrajectory(plugin as string, recipe, groups, { devices: 1 });
    alone.set(key, known);
    return known;
  };

  it.each(cases)(
    'gives the losses of one device: %s, groups %i, %j',
    { timeout: 600_000 },
    async (recipe, groups, devices) => {
      const one = await onOne(recipe, groups);
      const several = await deviceTrajectory(plugin as string, recipe, groups, devices);
      const difference = largestDifference(one, several);
      console.info(
        `${recipe}, groups ${groups}, ${devices.devices} devices, state ${devices.state}: ` +
          `${difference.toExponential(1)} over ${STEPS} steps; the weights moved by ${(100 * one.moved).toFixed(1)} %`,
      );
      expect(one.moved).toBeGreaterThan(0.03);
      expect(difference).toBeLessThan(1e-5);
    },
  );
});
