import { type HostArray, type HostTensor, type Rng, sizeOf } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';

/** A tfjs tensor of a tensor in host memory; `u8` becomes int32 as in a traced step. */
export function toTensor(host: HostTensor): tf.Tensor {
  const dtype = host.dtype === 'f32' ? 'float32' : host.dtype === 'bool' ? 'bool' : 'int32';
  const data = host.dtype === 'u8' ? Int32Array.from(host.data) : host.data;
  return tf.tensor(data, [...host.shape], dtype);
}

/** A tensor in host memory of normal numbers. */
export function normalTensor(rng: Rng, shape: readonly number[], std = 1): HostTensor {
  return { shape, dtype: 'f32', data: rng.normals(sizeOf(shape), std) };
}

/** A copy of a tensor with the positions along one axis in another order: result[i] = tensor[order[i]]. */
export function reordered(host: HostTensor, axis: number, order: ArrayLike<number>): HostTensor {
  const inner = sizeOf(host.shape.slice(axis + 1));
  const size = host.shape[axis];
  const data: HostArray = host.data.slice();
  for (let outer = 0; outer < sizeOf(host.shape.slice(0, axis)); outer++) {
    for (let i = 0; i < size; i++) {
      const from = (outer * size + order[i]) * inner;
      data.set(host.data.subarray(from, from + inner), (outer * size + i) * inner);
    }
  }
  return { ...host, data };
}

/** Values and gradients of a scalar function of named tensors; a missing connection gives undefined. */
export function gradientsOf(
  f: (inputs: Record<string, tf.Tensor>) => tf.Tensor,
  inputs: Readonly<Record<string, HostTensor>>,
  names: readonly string[],
): { value: number; gradients: Record<string, Float32Array | undefined> } {
  return tf.tidy(() => {
    const all = Object.fromEntries(Object.entries(inputs).map(([name, host]) => [name, toTensor(host)]));
    const xs = names.map((name) => all[name]);
    const { value, grads } = tf.engine().gradients(() => f(all), xs, undefined, true);
    const gradients = Object.fromEntries(
      names.map((name, i) => {
        const gradient = grads[i] as tf.Tensor | null | undefined;
        return [name, gradient?.dataSync() as Float32Array | undefined];
      }),
    );
    return { value: value.dataSync()[0], gradients };
  });
}
