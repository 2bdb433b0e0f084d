import '@tensorflow/tfjs';
import type { HostTensor } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';

/** Named arrays on the host with their shapes, of any precision. */
export type HostNumbers = Record<string, { readonly shape: readonly number[]; readonly data: ArrayLike<number> }>;

/** float32 tensors of named arrays. */
export function toTensors(arrays: HostNumbers): Record<string, tf.Tensor> {
  return Object.fromEntries(
    Object.entries(arrays).map(([name, { shape, data }]) => [
      name,
      tf.tensor(Float32Array.from(data), [...shape], 'float32'),
    ]),
  );
}

/** Named arrays of tensors. */
export function toHost(tensors: Readonly<Record<string, tf.Tensor>>): Record<string, HostTensor> {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [
      name,
      { shape: tensor.shape, dtype: 'f32', data: tensor.dataSync<'float32'>() },
    ]),
  );
}

/** One tensor of a host tensor. */
export function toTensor(host: HostTensor): tf.Tensor {
  return tf.tensor(host.data, [...host.shape], 'float32');
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
