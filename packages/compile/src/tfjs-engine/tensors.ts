import * as tf from '@tensorflow/tfjs-core';
import type { DType, HostArray } from '@selfsup/core';
import type { GraphDType } from '../graph/graph.js';

/** Element type of a tfjs tensor; u8 is held as int32. */
export function tfjsDType(dtype: GraphDType | DType): 'float32' | 'int32' | 'bool' {
  return dtype === 'f32' ? 'float32' : dtype === 'bool' ? 'bool' : 'int32';
}

/** Copies an array into a tensor of the active backend (the cpu backend would keep the array itself). */
export function upload(data: HostArray, shape: readonly number[], dtype: DType): tf.Tensor {
  const values = dtype === 'u8' ? Int32Array.from(data) : data.slice();
  return tf.tensor(values, [...shape], tfjsDType(dtype));
}

/** Copies a tensor out, into the array kind of a type. */
export async function download(tensor: tf.Tensor, dtype: DType): Promise<HostArray> {
  const data = await tensor.data();
  switch (dtype) {
    case 'f32':
      return Float32Array.from(data);
    case 'i32':
      return Int32Array.from(data);
    default:
      return Uint8Array.from(data);
  }
}

/** A scalar of a tensor's type. */
export function scalarLike(x: tf.Tensor, value: number): tf.Scalar {
  return tf.scalar(x.dtype === 'bool' ? value !== 0 : value, x.dtype as 'float32' | 'int32' | 'bool');
}
