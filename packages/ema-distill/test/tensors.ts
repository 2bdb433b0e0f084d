import '@tensorflow/tfjs';
import { type HostTensor, type Rng, sizeOf } from '@selfsup/core';
import type { FixtureCase, FixtureTensor } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';

/** An array on the host with its shape, of any precision. */
export interface HostNumbers {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

/** A float32 tensor, in another shape if asked for. */
export function toTensor({ shape, data }: HostNumbers, as: readonly number[] = shape): tf.Tensor {
  return tf.tensor(Float32Array.from(data), [...as], 'float32');
}

/** float32 tensors of named arrays. */
export function toTensors(arrays: Readonly<Record<string, HostNumbers>>): Record<string, tf.Tensor> {
  return Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, toTensor(array)]));
}

/** The values of a tensor with its shape. */
export function toHost(tensor: tf.Tensor): HostTensor {
  return { shape: tensor.shape, dtype: 'f32', data: tensor.dataSync<'float32'>() };
}

/** Tensors of a fixture below a prefix, without it. */
export function below(fixture: FixtureCase, prefix: string): Record<string, FixtureTensor> {
  return Object.fromEntries(
    Object.entries(fixture.tensors())
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, tensor]) => [name.slice(prefix.length), tensor]),
  );
}

/** Normal numbers in a tensor. */
export function normal(rng: Rng, shape: readonly number[], std = 1): HostTensor {
  return { shape, dtype: 'f32', data: rng.normals(sizeOf(shape), std) };
}

/** Tensors one after the other along their first axis, on the host. */
export function joined(parts: readonly HostNumbers[], shape: readonly number[]): HostNumbers {
  return { shape, data: parts.flatMap(({ data }) => Array.from(data)) };
}

/** `tf.tidy` for functions that return plain data. */
export function tidied<T>(f: () => T): T {
  tf.engine().startScope();
  try {
    return f();
  } finally {
    tf.engine().endScope();
  }
}
