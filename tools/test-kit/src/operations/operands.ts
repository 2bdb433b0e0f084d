import type { Attribute, Graph, GraphDType, Op } from '@selfsup/compile';
import { sizeOf, type HostArray, type HostArrays } from '@selfsup/core';
import { GraphWriter } from '../contracts/graphs.js';

/** An array going into a graph. */
export interface Operand {
  readonly shape: readonly number[];
  readonly dtype: GraphDType;
  readonly data: HostArray;
}

/** Shape and type of an output. */
export type Out = readonly [shape: readonly number[], dtype?: GraphDType];

/** One operation with all it needs. */
export interface OperationCase {
  readonly op: Op;
  readonly note?: string;
  readonly inputs: readonly Operand[];
  readonly outputs: readonly Out[];
  readonly attrs?: Readonly<Record<string, Attribute>>;
  /** Error allowed, relative to the largest value. Default 2e-6. */
  readonly maxRel?: number;
  /** Error allowed on top, where digits cancel. Default 0. */
  readonly atol?: number;
}

export const f32 = (shape: readonly number[], data: ArrayLike<number>): Operand => ({
  shape,
  dtype: 'f32',
  data: Float32Array.from(data),
});
export const i32 = (shape: readonly number[], data: ArrayLike<number>): Operand => ({
  shape,
  dtype: 'i32',
  data: Int32Array.from(data),
});
export const bool = (shape: readonly number[], data: ArrayLike<number>): Operand => ({
  shape,
  dtype: 'bool',
  data: Uint8Array.from(data),
});

/** Numbers that look random and are the same every time, in [low, high). */
export function wave(shape: readonly number[], low = -1, high = 1, seed = 1): Operand {
  const values = Float32Array.from({ length: sizeOf(shape) }, (_, i) => {
    const x = Math.sin((i + 1) * 12.9898 * seed + seed) * 43758.5453;
    return low + (high - low) * (x - Math.floor(x));
  });
  return f32(shape, values);
}

/** The same as whole numbers from low to high, both included. */
export function steps(shape: readonly number[], low: number, high: number, seed = 1): Int32Array {
  return Int32Array.from(wave(shape, low, high + 1, seed).data, Math.floor);
}

/** Symmetric positive definite matrices. */
export function positiveDefinite(n: number, batch: readonly number[] = [], seed = 1): Operand {
  const count = sizeOf(batch);
  const x = wave([count, n, n], -1, 1, seed).data;
  const data = new Float32Array(count * n * n);
  data.forEach((_, i) => {
    const [row, column, matrix] = [Math.floor(i / n) % n, i % n, Math.floor(i / (n * n))];
    let sum = row === column ? 0.5 : 0;
    for (let k = 0; k < n; k++) sum += x[(matrix * n + row) * n + k] * x[(matrix * n + column) * n + k];
    data[i] = sum;
  });
  return f32([...batch, n, n], data);
}

/** Lower triangular matrices that are safe to solve with. */
export function lowerTriangular(n: number, batch: readonly number[] = [], seed = 1): Operand {
  const { shape, data } = positiveDefinite(n, batch, seed);
  const lower = Float32Array.from(data, (v, i) => {
    const [row, column] = [Math.floor(i / n) % n, i % n];
    return row < column ? 0 : row === column ? Math.abs(v) + 1 : v / n;
  });
  return f32(shape, lower);
}

/** One operation from batch inputs `x0`, ... to metrics `y0`, ... */
export function oneNode(
  op: Op,
  inputs: readonly Operand[],
  outputs: readonly Out[],
  attrs: Readonly<Record<string, Attribute>> = {},
): { graph: Graph; batch: HostArrays } {
  const g = new GraphWriter();
  const ids = inputs.map(({ shape, dtype }, i) => g.input('batch', `x${i}`, shape, dtype));
  const results = g.ops(
    op,
    ids,
    outputs.map(([shape, dtype = 'f32']) => ({ shape, dtype })),
    attrs,
  );
  results.forEach((id, i) => g.result('metric', `y${i}`, id));
  return { graph: g.graph(op), batch: Object.fromEntries(inputs.map((x, i) => [`x${i}`, x.data])) };
}
