import { Rng, sizeOf } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { simDinoLoss, type SimDinoLoss, type SimDinoOptions } from '../src/index.js';

/** Numbers with a shape. */
export interface Host {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

export function host(shape: readonly number[], values: ArrayLike<number>): Host {
  return { shape, data: Float64Array.from(values, Math.fround) };
}

export function normals(seed: number, shape: readonly number[], std = 1): Host {
  return host(shape, Rng.of(seed, 'coding-rate-test').normals(sizeOf(shape), std));
}

/** Rows of unit length. */
export function units(seed: number, shape: readonly number[]): Host {
  const { data } = normals(seed, shape);
  const width = shape[shape.length - 1];
  const lengths = Array.from({ length: data.length / width }, (_, row) =>
    Math.hypot(...Array.from({ length: width }, (_, k) => data[row * width + k])),
  );
  return host(
    shape,
    Array.from(data, (x, i) => x / lengths[Math.floor(i / width)]),
  );
}

export function tensor<T extends tf.Tensor = tf.Tensor>({ shape, data }: Host): T {
  return tf.tensor(Float32Array.from(data), [...shape], 'float32') as T;
}

export function values(t: tf.Tensor): Float32Array {
  return t.dataSync<'float32'>().slice();
}

/** Runs a function of tensors on numbers. */
export function run(f: (...inputs: tf.Tensor[]) => tf.Tensor, ...inputs: Host[]): Float32Array {
  return tf.tidy(() => values(f(...inputs.map((x) => tensor(x)))));
}

/** Gradient of a scalar function with respect to its first input. */
export function gradient(f: (...inputs: tf.Tensor[]) => tf.Tensor, ...inputs: Host[]): Float32Array {
  return tf.tidy(() => {
    const [first, ...others] = inputs.map((x) => tensor(x));
    return values(tf.grad((x) => f(x, ...others))(first));
  });
}

/** One part of the SimDINO loss as a function of student and teacher. */
export function part(name: keyof SimDinoLoss, options: SimDinoOptions) {
  return (student: tf.Tensor, teacher: tf.Tensor): tf.Scalar =>
    simDinoLoss({ student: student as tf.Tensor3D, teacher: teacher as tf.Tensor3D }, options)[name];
}

/** Loss and parts as numbers. */
export function lossOf(student: Host, teacher: Host, options: SimDinoOptions = {}): Record<keyof SimDinoLoss, number> {
  return tf.tidy(() => {
    const parts = simDinoLoss({ student: tensor(student), teacher: tensor(teacher) }, options);
    return {
      loss: values(parts.loss)[0],
      compression: values(parts.compression)[0],
      expansion: values(parts.expansion)[0],
    };
  });
}

/** Tensors next to each other along the image axis of `[V, B, d]`. */
export function joinImages(parts: readonly Host[]): Host {
  const [views, , width] = parts[0].shape;
  const rows: number[] = [];
  for (let v = 0; v < views; v++) {
    for (const { shape, data } of parts) {
      const step = shape[1] * width;
      for (let i = 0; i < step; i++) rows.push(data[v * step + i]);
    }
  }
  return host([views, parts.reduce((n, p) => n + p.shape[1], 0), width], rows);
}

/** Images `from` to `to` of `[V, B, d]`. */
export function images({ shape, data }: Host, from: number, to: number): Host {
  const [views, batch, width] = shape;
  const rows: number[] = [];
  for (let v = 0; v < views; v++) {
    for (let i = from * width; i < to * width; i++) rows.push(data[v * batch * width + i]);
  }
  return host([views, to - from, width], rows);
}
