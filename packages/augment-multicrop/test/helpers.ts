import { createHash } from 'node:crypto';
import { Rng } from '@selfsup/core';
import { expect } from 'vitest';
import type { RgbImage } from '../src/index.js';

/** A picture with smooth and rough parts, the same for the same seed. */
export function testImage(width: number, height: number, seed = 1): RgbImage {
  const rng = Rng.of(seed, 'test-image');
  const waves = Array.from({ length: 6 }, () => [rng.uniform(0.01, 0.4), rng.uniform(0.01, 0.4), rng.uniform(0, 6)]);
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) {
        const [a, b] = [waves[c], waves[c + 3]];
        const smooth = Math.sin(a[0] * x + a[1] * y + a[2]) + Math.cos(b[0] * x - b[1] * y + b[2]);
        data[(y * width + x) * 3 + c] = Math.round(127 + 50 * smooth + rng.uniform(-27, 27));
      }
    }
  }
  return { data, width, height };
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** How many of the pictures' bytes differ by at most 0, 1, 2, ... (shares of all), and the largest difference. */
export function byteDifferences(actual: Uint8Array, expected: Uint8Array): { largest: number; within: number[] } {
  expect(actual.length).toBe(expected.length);
  const counts = new Array<number>(256).fill(0);
  actual.forEach((value, i) => counts[Math.abs(value - expected[i])]++);
  let sum = 0;
  const within = counts.map((count) => (sum += count) / expected.length);
  return { largest: counts.findLastIndex((count) => count > 0), within };
}

/** The same size and the same bytes. */
export function expectSamePicture(actual: RgbImage, expected: RgbImage): void {
  expect([actual.width, actual.height]).toEqual([expected.width, expected.height]);
  expect(byteDifferences(actual.data, expected.data).largest).toBe(0);
}
