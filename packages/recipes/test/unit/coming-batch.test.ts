import '@tensorflow/tfjs';
import type { Engine } from '@selfsup/compile';
import type { HostArrays } from '@selfsup/core';
import { onnxruntimeEngine } from '@selfsup/engine-onnxruntime';
import { expect, it } from 'vitest';
import { train } from '../../src/index.js';
import { tinyConfig as config, tinyDataset } from '../support/tiny-run.js';
import { wrappedEngine } from '../support/wrapped-engine.js';

/** An engine with a device of its own: no step ends before the pictures of the next one are on their way. */
async function waitingForPictures(steps: number): Promise<{ engine: Engine; sent: Readonly<HostArrays>[] }> {
  const sent: Readonly<HostArrays>[] = [];
  let onSent = (): void => undefined;
  let runs = 0;
  const engine = await wrappedEngine((executable) => ({
    prepare(arrays) {
      sent.push(arrays);
      onSent();
    },
    async run(batch) {
      const step = runs++;
      expect(batch['crops.global']).toBe(sent[step]['crops.global']);
      while (step + 1 < steps && sent.length < step + 2) await new Promise<void>((done) => (onSent = done));
      return executable.run(batch);
    },
  }));
  return { engine, sent };
}

it('is sent to the device while the step before it runs, and changes nothing', async () => {
  const dataset = await tinyDataset();
  const plain = await onnxruntimeEngine();
  const wanted = await train({ config, dataset, engine: plain, workers: 0 });
  await plain.dispose();
  const { engine, sent } = await waitingForPictures(wanted.steps);
  const { loss } = await train({ config, dataset, engine, workers: 0 });
  await engine.dispose();
  expect(loss).toBe(wanted.loss);
  expect(sent).toHaveLength(wanted.steps);
});
