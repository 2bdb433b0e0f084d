import { expect, it } from 'vitest';
import { singularValues } from '../../src/index.js';

it('ends on rows that are all the same, whatever their numbers and sizes', () => {
  for (const [rows, width] of [
    [120, 48],
    [48, 120],
    [7, 7],
  ]) {
    const row = Float64Array.from({ length: width }, (_, i) => Math.sin(1 + i * i));
    const data = Float64Array.from({ length: rows * width }, (_, i) => row[i % width]);
    const [first, ...others] = singularValues({ shape: [rows, width], data });
    const norm = Math.sqrt(rows * row.reduce((sum, x) => sum + x * x, 0));
    expect(first).toBeCloseTo(norm, 10);
    expect(Math.max(...others)).toBeLessThan(1e-13 * norm);
  }
});

it('is 0 for zeros', () => {
  expect(Array.from(singularValues({ shape: [3, 2], data: new Float64Array(6) }))).toEqual([0, 0]);
});
