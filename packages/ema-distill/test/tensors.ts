import '@tensorflow/tfjs';
import { type HostTensor, type Rng, sizeOf } from '@selfsup/core';
import type { FixtureCase } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import type { HostNumbers } from '@selfsup/test-kit/golden-case';

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

/** Normal numbers in a tensor. */
export function normal(rng: Rng, shape: readonly number[], std = 1): HostTensor {
  return { shape, dtype: 'f32', data: rng.normals(sizeOf(shape), std) };
}

/** Zeros on the host. */
export function zeros(shape: readonly number[]): HostNumbers {
  return { shape, data: new Float32Array(sizeOf(shape)) };
}

/** The center after a call is what the fixture's next call uses, or its last one. */
export function expectCenter(fixture: FixtureCase, call: number, calls: number, center: HostNumbers): void {
  const group = call < calls - 1 ? `call${call + 1}` : 'center_final';
  const expected = fixture.tensor(call < calls - 1 ? `${group}/center_used` : group);
  expect(center, `center after call ${call}`).toBeAllclose(expected, { maxRel: fixture.tolerance(group) });
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
