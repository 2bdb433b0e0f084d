import '@tensorflow/tfjs';
import { multiCrop, type RgbImage } from '@selfsup/augment-multicrop';
import { compileFunction, specsOf } from '@selfsup/compile';
import { Rng } from '@selfsup/core';
import { onnxruntimeEngine } from '@selfsup/engine-onnxruntime';
import { expect, it } from 'vitest';
import { convNet, init, SIZE, trainer, VIEWS } from '../src/vicreg.js';

/** A picture of some discs on a plain ground, everything at random. */
function picture(seed: number): RgbImage {
  const rng = Rng.of(seed, 'picture');
  const color = (): number[] => [0, 1, 2].map(() => rng.integer(256));
  const discs = Array.from({ length: 4 }, () => ({
    x: rng.uniform(0, SIZE),
    y: rng.uniform(0, SIZE),
    r: rng.uniform(3, 9),
    color: color(),
  }));
  const ground = color();
  const data = Uint8Array.from({ length: SIZE * SIZE * 3 }, (_, i) => {
    const at = Math.floor(i / 3);
    const disc = discs.find(({ x, y, r }) => Math.hypot((at % SIZE) - x, Math.floor(at / SIZE) - y) < r);
    return (disc?.color ?? ground)[i % 3];
  });
  return { data, width: SIZE, height: SIZE };
}

/** Rows of unit length around their common mean. */
function directions(data: Float32Array, width: number): number[][] {
  const rows = Array.from({ length: data.length / width }, (_, i) =>
    Array.from(data.subarray(i * width, (i + 1) * width)),
  );
  const mean = rows[0].map((_, j) => rows.reduce((sum, row) => sum + row[j], 0) / rows.length);
  return rows.map((row) => {
    const centred = row.map((x, j) => x - mean[j]);
    const length = Math.hypot(...centred);
    return centred.map((x) => x / length);
  });
}

/** How far apart similarities of two views of one picture and of different pictures lie, in standard deviations (d'). */
function separation(first: number[][], second: number[][]): number {
  const dot = (a: number[], b: number[]): number => a.reduce((sum, x, i) => sum + x * b[i], 0);
  const same = first.map((a, i) => dot(a, second[i]));
  const other = first.flatMap((a, i) => second.filter((_, j) => j !== i).map((b) => dot(a, b)));
  const mean = (values: number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;
  const variance = (values: number[]): number => {
    const center = mean(values);
    return mean(values.map((x) => (x - center) ** 2));
  };
  return (mean(same) - mean(other)) / Math.sqrt((variance(same) + variance(other)) / 2);
}

const TEST = 128;
const BATCH = 64;
const STEPS = 80;

it('learns: views of the same unseen picture stand out from others more clearly after training than before', async () => {
  const engine = await onnxruntimeEngine();
  const unseen = Array.from(
    { length: TEST },
    (_, i) => multiCrop(picture(100_000 + i), VIEWS, { seed: 9, epoch: 0, sample: i }).global,
  );
  const start = init(0);
  const spec = { images: { shape: [TEST, SIZE, SIZE, 3], dtype: 'u8' as const } };
  const features = await compileFunction(({ images, ...p }) => ({ z: convNet(p, images) }), {
    engine,
    inputs: { ...specsOf(start), ...spec },
  });
  const apart = async (weights: Record<string, Float32Array>): Promise<number> => {
    const [first, second] = await Promise.all(
      [0, 1].map(async (view) => {
        const { z } = await features({
          ...weights,
          images: Uint8Array.from(unseen.flatMap((views) => [...views[view]])),
        });
        return directions(z as Float32Array, z.length / TEST);
      }),
    );
    return separation(first, second);
  };
  const before = await apart(
    Object.fromEntries(Object.entries(start).map(([name, t]) => [name, t.data as Float32Array])),
  );
  const { compiled, step } = await trainer(engine, BATCH);
  const losses: number[] = [];
  for (let t = 0; t < STEPS; t++)
    losses.push(
      await step(
        Array.from({ length: BATCH }, (_, i) => picture(t * BATCH + i)),
        t,
      ),
    );
  const state = await compiled.read(['weights.']);
  const after = await apart(
    Object.fromEntries(
      Object.entries(state).map(([name, data]) => [name.slice('weights.'.length), data as Float32Array]),
    ),
  );
  const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
  expect(mean(losses.slice(-8))).toBeLessThan(mean(losses.slice(0, 8)) - 2);
  expect(after).toBeGreaterThan(1.3 * before);
  await features.dispose();
  await compiled.dispose();
  await engine.dispose();
}, 240_000);
