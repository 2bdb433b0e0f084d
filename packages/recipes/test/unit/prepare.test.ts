import '@tensorflow/tfjs';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRun } from '@selfsup/checkpoint';
import { onnxruntimeEngine } from '@selfsup/engine-onnxruntime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { prepareAndDraw } from '../../src/training/prepare.js';
import { recipeOf, train, type TrainOptions, type TrainResult } from '../../src/index.js';
import { tinyConfig as config, tinyDataset } from '../support/tiny-run.js';
import { wrappedEngine } from '../support/wrapped-engine.js';

describe('the state that a training brings back', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'selfsup-kept-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const trained = async (options: Partial<TrainOptions>): Promise<TrainResult['state']> => {
    const engine = await onnxruntimeEngine();
    const { state } = await train({ config, dataset: await tinyDataset(), engine, workers: 0, ...options });
    await engine.dispose();
    return state;
  };

  it('is all of it without a run directory, none with one, and what is asked for', async () => {
    const { state: specs } = recipeOf(config);
    const all = await trained({});
    expect(Object.keys(all)).toEqual(Object.keys(specs));
    for (const [name, { data, shape }] of Object.entries(all)) {
      expect(shape, name).toEqual(specs[name].shape);
      expect(data.every(Number.isFinite), name).toBe(true);
    }
    const run = await openRun(join(folder, 'run'), { config: { ...config } });
    expect(await trained({ run })).toEqual({});
    await run.close();
    const heads = await trained({ keep: ['student.head.', 'teacher.head.'] });
    const wanted = Object.entries(all).filter(([name]) => /^(student|teacher)\.head\./.test(name));
    expect(wanted.length).toBeGreaterThan(0);
    expect(heads).toEqual(Object.fromEntries(wanted));
  });
});

it('leaves no program behind when the weights cannot be drawn', async () => {
  let disposed = 0;
  const engine = await wrappedEngine((executable) => ({
    dispose: () => {
      disposed++;
      return executable.dispose();
    },
  }));
  const recipe = recipeOf(config);
  const networks = {
    ...recipe.networks,
    init: () => {
      throw new RangeError('Array buffer allocation failed');
    },
  };
  await expect(prepareAndDraw({ ...recipe, networks }, engine, true)).rejects.toThrow('Array buffer allocation failed');
  expect(disposed).toBe(1);
  await engine.dispose();
});
