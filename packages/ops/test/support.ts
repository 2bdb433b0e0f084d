import { Rng, sizeOf } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';

/** Numbers with a shape; kept in float64 but exact in float32, so that both sides of a comparison see the same input. */
export interface Host {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export function host(shape: readonly number[], values: ArrayLike<number>): Host {
  return { shape, data: Float64Array.from(values, Math.fround) };
}

export function normals(seed: number, shape: readonly number[], std = 1, mean = 0): Host {
  return host(shape, Rng.of(seed, 'ops-test').normals(sizeOf(shape), std, mean));
}

export function tensor<T extends tf.Tensor = tf.Tensor>({ shape, data }: Host): T {
  return tf.tensor(Float32Array.from(data), [...shape], 'float32') as T;
}

/** Values of an operation. */
export function run(op: (...inputs: tf.Tensor[]) => tf.Tensor, ...inputs: Host[]): Float32Array {
  return tf.tidy(() =>
    op(...inputs.map((x) => tensor(x)))
      .dataSync<'float32'>()
      .slice(),
  );
}

/** Gradients of sum(dy * op(inputs)) by tfjs. */
export function gradients(op: (...inputs: tf.Tensor[]) => tf.Tensor, dy: Host, ...inputs: Host[]): Float32Array[] {
  return tf.tidy(() => {
    const all = tf.grads(op)(
      inputs.map((x) => tensor(x)),
      tensor(dy),
    );
    all.forEach((g, i) => expect(g.shape).toEqual(inputs[i].shape));
    return all.map((g) => g.dataSync<'float32'>().slice());
  });
}

/** The same by central differences of a float64 reference. */
export function differences(
  reference: (...inputs: Float64Array[]) => Float64Array,
  dy: Host,
  ...inputs: Host[]
): Float64Array[] {
  const total = (values: Float64Array[]): number => reference(...values).reduce((sum, y, i) => sum + y * dy.data[i], 0);
  return inputs.map((input, which) =>
    input.data.map((value, i) => {
      const step = 1e-5 * Math.max(1, Math.abs(value));
      const at = (x: number): number =>
        total(inputs.map(({ data }, k) => (k === which ? data.map((v, j) => (j === i ? x : v)) : data)));
      return (at(value + step) - at(value - step)) / (2 * step);
    }),
  );
}

/** Calls a function and says how many tensors it left behind. */
export function leftBehind(f: () => unknown): number {
  const before = tf.memory().numTensors;
  f();
  return tf.memory().numTensors - before;
}
