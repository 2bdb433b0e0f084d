import '@tensorflow/tfjs';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadCheckpoint, openRun } from '@selfsup/checkpoint';
import type { Engine } from '@selfsup/compile';
import { SslError } from '@selfsup/core';
import { afterAll, describe, expect, it } from 'vitest';
import { train } from '../../src/index.js';
import { tinyConfig as config, tinyDataset } from '../support/tiny-run.js';
import { wrappedEngine } from '../support/wrapped-engine.js';

const folder = mkdtempSync(join(tmpdir(), 'selfsup-failed-step-'));
afterAll(() => rmSync(folder, { recursive: true }));

const lost = (): SslError =>
  new SslError('ENGINE_FAILED', {
    where: 'engine.run',
    expected: 'the device to answer',
    got: 'a lost device',
    fix: 'look at the driver',
  });

/** An engine whose device is gone when a step runs, from then on. */
function failingAt(step: number): Promise<Engine> {
  let runs = 0;
  return wrappedEngine((executable) => ({
    run: async (batch) => (++runs >= step ? Promise.reject(lost()) : executable.run(batch)),
  }));
}

const dataset = await tinyDataset();

async function trainUntilLost(out: string, step: number, resume = false): Promise<unknown> {
  const engine = await failingAt(step);
  const run = await openRun(out, { config: { ...config }, resume });
  try {
    return await train({ config, dataset, engine, run, workers: 0 });
  } finally {
    await run.close();
    await engine.dispose();
  }
}

describe('a device that is lost in the middle of a run', () => {
  it('leaves the last checkpoint, and says so', async () => {
    const out = join(folder, 'run');
    await expect(trainUntilLost(out, 6)).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
      message: expect.stringMatching(
        /expected step 6 to run, got .*a lost device\. Fix: look at the driver; the checkpoint of step 4 stands: go on with --resume --out .*run\.$/,
      ),
      details: { step: 6, checkpointStep: 4 },
    });
    expect((await loadCheckpoint(out)).manifest?.step).toBe(4);
    await expect(trainUntilLost(out, Infinity, true)).resolves.toMatchObject({ steps: 8 });
  });

  it('says when there is none yet', async () => {
    await expect(trainUntilLost(join(folder, 'early'), 1)).rejects.toThrow(/no checkpoint had been saved yet/);
  });
});

it.runIf(process.platform === 'linux')('leaves no threads behind when its step does not compile', async () => {
  const threads = (): number => readdirSync('/proc/self/task').length;
  const refuse = (): never => {
    throw lost();
  };
  const engine: Engine = {
    name: 'none',
    composites: [],
    devices: () => [],
    createStore: refuse,
    compile: refuse,
    dispose: () => Promise.resolve(),
  };
  const attempt = (): Promise<unknown> => train({ config, dataset, engine, workers: 2 });
  // The first one starts what stays.
  await expect(attempt()).rejects.toThrow('lost device');
  const before = threads();
  await expect(attempt()).rejects.toThrow('lost device');
  expect(threads()).toBeLessThanOrEqual(before);
});
