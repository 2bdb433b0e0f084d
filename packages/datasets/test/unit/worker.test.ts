import { Worker } from 'node:worker_threads';
import sharp from 'sharp';
import { expect, onTestFinished, test } from 'vitest';
import type { ImageSource, RgbImage } from '../../src/decode.js';
import { datasetFrom } from '../../src/index.js';
import { setUpDecoderBundle } from '../support/bundle.js';

const decoderPath = setUpDecoderBundle();

const MAIN = `
  const { parentPort, workerData } = require('node:worker_threads');
  import(workerData.decoder).then(({ decode }) => {
    parentPort.on('message', (source) => decode(source).then(
      (image) => parentPort.postMessage({ image }, [image.data.buffer]),
      ({ code, message, details }) => parentPort.postMessage({ error: { code, message, details } }),
    ));
  });`;

test('sources reach a worker, pixels come back without a copy, errors with their code', async () => {
  const worker = new Worker(MAIN, { eval: true, workerData: { decoder: decoderPath() } });
  onTestFinished(async () => void (await worker.terminate()));
  const inWorker = (source: ImageSource): Promise<{ image?: RgbImage; error?: { code: string; details: object } }> =>
    new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.postMessage(source);
    });

  const png = await sharp({ create: { width: 5, height: 4, channels: 3, background: '#102030' } })
    .png()
    .toBuffer();
  const dataset = await datasetFrom([
    { source: { kind: 'encoded', data: png, name: 'made here' }, name: 'png' },
    { source: { kind: 'planar', buffer: new SharedArrayBuffer(12), offset: 0, width: 2, height: 2 }, name: 'planes' },
    { source: { kind: 'file', path: '/nowhere/none.jpg' }, name: 'missing' },
  ]);
  const { image } = await inWorker(dataset.source(0));
  expect(image).toMatchObject({ width: 5, height: 4 });
  expect(image?.data.subarray(0, 3)).toEqual(new Uint8Array([0x10, 0x20, 0x30]));
  expect((await inWorker(dataset.source(1))).image?.data).toEqual(new Uint8Array(12));
  expect((await inWorker(dataset.source(2))).error).toMatchObject({
    code: 'IMAGE_UNREADABLE',
    details: { path: '/nowhere/none.jpg' },
  });
});
