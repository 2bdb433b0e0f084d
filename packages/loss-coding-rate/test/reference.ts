/** The coding rate in float64 and plain loops. */

import type { Host } from './support.js';

function logDet(a: Float64Array, n: number): number {
  const l = Float64Array.from(a);
  let sum = 0;
  for (let j = 0; j < n; j++) {
    for (let k = 0; k < j; k++) for (let i = j; i < n; i++) l[i * n + j] -= l[i * n + k] * l[j * n + k];
    const pivot = l[j * n + j];
    sum += Math.log(pivot);
    for (let i = j; i < n; i++) l[i * n + j] /= Math.sqrt(pivot);
  }
  return sum;
}

/** 1/2 log det(I + alpha FT F), always on the `d x d` side. */
export function codingRate({ shape: [rows, width], data }: Host, alpha: number): number {
  const a = new Float64Array(width * width);
  for (let i = 0; i < width; i++) {
    for (let j = 0; j < width; j++) {
      let s = i === j ? 1 : 0;
      for (let r = 0; r < rows; r++) s += alpha * data[r * width + i] * data[r * width + j];
      a[i * width + j] = s;
    }
  }
  return logDet(a, width) / 2;
}

/** Its gradient by central differences. */
export function codingRateGradient({ shape, data }: Host, alpha: number): Float64Array {
  const step = 1e-5;
  return Float64Array.from(data, (_, i) => {
    const at = (delta: number): number =>
      codingRate({ shape, data: Float64Array.from(data, (x, k) => (k === i ? x + delta : x)) }, alpha);
    return (at(step) - at(-step)) / (2 * step);
  });
}
