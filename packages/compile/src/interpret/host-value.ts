import { sizeOf } from '@selfsup/core';
import type { Attributes } from '../graph/attributes.js';
import type { GraphDType } from '../graph/graph.js';

/** Elements of a value: f32 in Float32Array, or in Float64Array when the interpreter computes in double. */
export type NumericArray = Float32Array | Float64Array | Int32Array | Uint8Array;

/** How f32 values are held: rounded to float32 after every operation, or in double throughout. */
export type Precision = 'f32' | 'f64';

/** A value in host memory, row-major. */
export interface HostValue {
  readonly shape: readonly number[];
  readonly dtype: GraphDType;
  readonly data: NumericArray;
}

/** Computes one operation: fills the outputs, which come zeroed. */
export type Evaluator = (inputs: readonly HostValue[], outputs: readonly HostValue[], attrs: Attributes) => void;

/** A zeroed array for a type. */
export function allocate(dtype: GraphDType, size: number, precision: Precision): NumericArray {
  if (dtype === 'i32') return new Int32Array(size);
  if (dtype === 'bool') return new Uint8Array(size);
  return precision === 'f64' ? new Float64Array(size) : new Float32Array(size);
}

/** Elements from one dimension step to the next, row-major. */
export function stridesOf(shape: readonly number[]): number[] {
  return shape.map((_, i) => sizeOf(shape.slice(i + 1)));
}

/** Strides that read an array as if broadcast (right-aligned, size 1 stretches) to a shape. */
export function broadcastStrides(from: readonly number[], to: readonly number[]): number[] {
  const strides = stridesOf(from);
  const added = to.length - from.length;
  return to.map((_, i) => (i < added || from[i - added] === 1 ? 0 : strides[i - added]));
}

/** Where every element of a shape, in row-major order, is found in an array with these strides. */
export function offsetsOf(shape: readonly number[], strides: readonly number[], start = 0): Int32Array {
  let offsets = Int32Array.of(start);
  shape.forEach((size, d) => {
    const next = new Int32Array(offsets.length * size);
    for (let i = 0; i < next.length; i++) next[i] = offsets[Math.floor(i / size)] + (i % size) * strides[d];
    offsets = next;
  });
  return offsets;
}

/** Sizes before, along and after an axis. */
export function splitAt(shape: readonly number[], axis: number): { outer: number; length: number; inner: number } {
  return { outer: sizeOf(shape.slice(0, axis)), length: shape[axis], inner: sizeOf(shape.slice(axis + 1)) };
}
