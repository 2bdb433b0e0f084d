import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeWithData } from '@selfsup/test-kit';
import { beforeAll, describe, expect, it } from 'vitest';
import { allocateCrops, multiCrop, multiCropConfig, type RgbImage } from '../../src/index.js';
import { createCropPool, type CropPool, type CropPoolOptions } from '../../src/pool.js';
import { decode } from '../decoders/raw.mjs';

const config = multiCropConfig('simdino', { global: { size: 32 }, local: { size: 16, count: 3 } });
const decoder = (name: string): URL => new URL(`../decoders/${name}.mjs`, import.meta.url);

async function withPool<T>(options: Partial<CropPoolOptions>, use: (pool: CropPool) => Promise<T>): Promise<T> {
  const pool = await createCropPool({ decoder: decoder('raw'), config, seed: 5, threads: 1, ...options });
  try {
    return await use(pool);
  } finally {
    await pool.close();
  }
}

beforeAll(() => {
  const worker = fileURLToPath(new URL('../../dist/worker.js', import.meta.url));
  if (!existsSync(worker)) throw new Error(`${worker} is missing: run "npx tsup" in packages/augment-multicrop first`);
});

// A pool that hangs must not hold the suite up.
describe('createCropPool', { timeout: 20_000 }, () => {
  const sources = Array.from({ length: 7 }, (_, i) => ({ width: 20 + 9 * i, height: 50 - 3 * i, value: i + 2 }));

  it.each([0, 1, 2])('gives the views of multiCrop with %i threads', async (threads) => {
    const batch = allocateCrops(config, sources.length);
    await withPool({ threads }, async (pool) => {
      const results = await Promise.all(
        sources.map((source, index) => pool.crops(source, { epoch: 2, sample: 100 + index }, { batch, index })),
      );
      for (const result of results) expect(result).toEqual({ crops: batch });
    });
    for (const [index, source] of sources.entries()) {
      const image: RgbImage = await decode(source);
      const expected = multiCrop(image, config, { seed: 5, epoch: 2, sample: 100 + index });
      for (const kind of ['global', 'local'] as const) {
        expected[kind].forEach((view, v) => {
          const start = (v * sources.length + index) * view.length;
          expect(batch[kind].subarray(start, start + view.length)).toEqual(view);
        });
      }
    }
  });

  it('gives a batch of one without a target, in shared memory', async () => {
    const { crops } = await withPool({}, (pool) => pool.crops(sources[0], { epoch: 0, sample: 0 }));
    expect(crops?.images).toBe(1);
    expect(crops?.global.length).toBe(2 * 32 * 32 * 3);
    expect(crops?.local.length).toBe(3 * 16 * 16 * 3);
    expect(crops?.global.buffer).toBeInstanceOf(SharedArrayBuffer);
  });

  it.each([0, 1])('reports a picture that cannot be decoded and goes on (%i threads)', async (threads) => {
    await withPool({ threads }, async (pool) => {
      const bad = await pool.crops({ path: 'photos/a.broken' }, { epoch: 0, sample: 3 });
      expect(bad.error).toEqual({
        code: 'IMAGE_UNREADABLE',
        message: 'photos/a.broken (sample 3): not a picture',
      });
      expect((await pool.crops(sources[0], { epoch: 0, sample: 4 })).error).toBeUndefined();
    });
  });

  it('reports a decoder that does not give RGB', async () => {
    const { error } = await withPool({ decoder: decoder('gray') }, (pool) => pool.crops('x', { epoch: 0, sample: 0 }));
    expect(error?.code).toBe('SHAPE_MISMATCH');
    expect(error?.message).toContain('100 bytes for 10 x 10');
    expect(error?.message).toContain('Fix: decode to 8-bit RGB');
  });

  it.each([0, 1])('rejects a decoder without decode (%i threads)', async (threads) => {
    await withPool({ decoder: decoder('no-decode'), threads }, async (pool) => {
      await expect(pool.crops('x', { epoch: 0, sample: 0 })).rejects.toMatchObject({
        code: 'BAD_OPTION',
        message: expect.stringContaining('no export "decode"'),
      });
    });
  });

  it('rejects a decoder that is not there, or relative', async () => {
    await withPool({ decoder: decoder('missing') }, async (pool) => {
      await expect(pool.crops('x', { epoch: 0, sample: 0 })).rejects.toMatchObject({ code: 'BAD_OPTION' });
    });
    await expect(createCropPool({ decoder: './raw.mjs', config, seed: 0, threads: 0 })).rejects.toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringContaining('new URL("./decoder.js", import.meta.url)'),
    });
  });

  it('takes a path', async () => {
    const { crops } = await withPool({ decoder: fileURLToPath(decoder('raw')) }, (pool) =>
      pool.crops(sources[1], { epoch: 0, sample: 0 }),
    );
    expect(crops).toBeDefined();
  });

  it('names the picture when a worker dies, and goes on', async () => {
    await withPool({ decoder: decoder('dying'), threads: 2 }, async (pool) => {
      const task = { epoch: 0, sample: 0 };
      const results = await Promise.allSettled(['ok', 'die', 'ok', 'die', 'ok'].map((s) => pool.crops(s, task)));
      expect(results.map(({ status }) => status)).toEqual([
        'fulfilled',
        'rejected',
        'fulfilled',
        'rejected',
        'fulfilled',
      ]);
      expect((results[1] as PromiseRejectedResult).reason).toMatchObject({
        code: 'WORKER_DIED',
        message: expect.stringContaining('a worker that decodes die'),
      });
      expect((await pool.crops('ok', task)).crops).toBeDefined();
    });
  });

  it('waits for pictures under way when it closes, and refuses more', async () => {
    const pool = await createCropPool({ decoder: decoder('raw'), config, seed: 5, threads: 1 });
    const running = pool.crops(sources[0], { epoch: 0, sample: 0 });
    await pool.close();
    await pool.close();
    expect((await running).crops).toBeDefined();
    await expect(pool.crops(sources[0], { epoch: 0, sample: 0 })).rejects.toMatchObject({ code: 'BAD_OPTION' });
  });

  it('refuses a batch of another configuration, negative threads, a bad key', async () => {
    await withPool({ threads: 0 }, async (pool) => {
      const batch = allocateCrops(multiCropConfig(config, { local: { count: 2 } }), 2);
      const key = { epoch: 0, sample: 0 };
      await expect(pool.crops(sources[0], key, { batch, index: 0 })).rejects.toMatchObject({
        code: 'SHAPE_MISMATCH',
        message: expect.stringContaining('allocateCrops'),
      });
      await expect(pool.crops(sources[0], key, { batch: allocateCrops(config, 2), index: 2 })).rejects.toMatchObject({
        code: 'SHAPE_MISMATCH',
      });
      await expect(pool.crops(sources[0], { epoch: -1, sample: 0 })).rejects.toMatchObject({ code: 'BAD_OPTION' });
    });
    await expect(createCropPool({ decoder: decoder('raw'), config, seed: 0, threads: -1 })).rejects.toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringContaining('set threads to an integer of at least 0'),
    });
  });
});

describeWithData('a folder with broken files', 'bad-images', (directory) => {
  it('gives views or an error that names the file, for every file', async () => {
    const files = readdirSync(directory).filter((name) => !/12000|huge/.test(name));
    await withPool({ decoder: decoder('sharp'), threads: 2 }, async (pool) => {
      const results = await Promise.all(
        files.map((file, sample) => pool.crops(join(directory, file), { epoch: 0, sample })),
      );
      const good = results.filter((result) => result.crops !== undefined);
      expect(good.length).toBeGreaterThan(5);
      expect(good.length).toBeLessThan(files.length);
      results.forEach((result, i) => {
        if (result.error !== undefined) expect(result.error.message).toContain(files[i]);
      });
    });
  });
});
