import '@tensorflow/tfjs';
import '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { attention } from '../../src/index.js';
import * as reference from '../reference.js';
import { differences, gradients, type Host, leftBehind, normals, run, tensor } from '../support.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const [B, H, N, M, d] = [2, 3, 4, 5, 6];

/** Attention of every head in plain loops. */
function attend(scale: number, n = N) {
  return (q: Float64Array, k: Float64Array, v: Float64Array): Float64Array => {
    const out: number[] = [];
    for (let head = 0; head < B * H; head++) {
      const part = (x: Float64Array, rows: number): Float64Array => x.subarray(head * rows * d, (head + 1) * rows * d);
      const scores = reference.matMul(part(q, n), reference.transpose(part(k, M), M, d), n, d, M);
      const weights = reference.softmax(
        scores.map((s) => s * scale),
        M,
      );
      out.push(...reference.matMul(weights, part(v, M), n, M, d));
    }
    return Float64Array.from(out);
  };
}

describe('attention', () => {
  const q = normals(1, [B, H, N, d], 1.5);
  const k = normals(2, [B, H, M, d], 1.5);
  const v = normals(3, [B, H, M, d]);
  const op =
    (scale?: number) =>
    (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor): tf.Tensor =>
      attention(q as tf.Tensor4D, k as tf.Tensor4D, v as tf.Tensor4D, scale === undefined ? {} : { scale });

  it.each([undefined, 0.7])('agrees with the reference, values and gradients, scale %s', (scale) => {
    const f = attend(scale ?? 1 / Math.sqrt(d));
    const dy = normals(4, q.shape);
    expect(run(op(scale), q, k, v)).toBeAllclose(f(q.data, k.data, v.data), { rtol: 1e-5, atol: 1e-6 });
    const expected = differences(f, dy, q, k, v);
    gradients(op(scale), dy, q, k, v).forEach((g, i) => expect(g).toBeAllclose(expected[i], { maxRel: 1e-5 }));
  });

  it('takes one query, as the CLS attention of the last block does', () => {
    const one: Host = normals(5, [B, H, 1, d]);
    expect(run(op(), one, k, v)).toBeAllclose(attend(1 / Math.sqrt(d), 1)(one.data, k.data, v.data));
  });

  it('tidies after itself', () => {
    const inputs = [q, k, v].map((x) => tensor<tf.Tensor4D>(x));
    expect(leftBehind(() => attention(inputs[0], inputs[1], inputs[2]))).toBe(1);
    expect(leftBehind(() => tf.grads((q, k, v) => tf.sum(op()(q, k, v)))(inputs))).toBe(3);
  });

  it('refuses keys of another width or values of another length', () => {
    const zeros = (...shape: [number, number, number, number]): tf.Tensor4D => tf.zeros(shape);
    expect(() => attention(zeros(1, 2, 3, 4), zeros(1, 2, 3, 5), zeros(1, 2, 3, 4))).toThrow(
      /ops\.attention: expected k of shape .*got \[1, 2, 3, 5\]\. Fix: pass k/,
    );
    expect(() => attention(zeros(1, 2, 3, 4), zeros(1, 2, 3, 4), zeros(1, 2, 5, 4))).toThrow(/expected v of shape/);
  });
});
