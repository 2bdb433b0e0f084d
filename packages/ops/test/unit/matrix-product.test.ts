import '@tensorflow/tfjs';
import '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { matrixProduct } from '../../src/index.js';
import { leftBehind, normals, tensor } from '../support.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('matrixProduct', () => {
  it.each([
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ])('is tf.matMul, gradients included (transposed: %s, %s)', (transposeA, transposeB) => {
    tf.tidy(() => {
      const a = tensor(normals(1, transposeA ? [3, 4] : [4, 3]));
      const b = tensor(normals(2, transposeB ? [5, 3] : [3, 5]));
      const dy = tensor(normals(3, [4, 5]));
      const both = [matrixProduct, tf.matMul].map((product) => {
        const f = (x: tf.Tensor, y: tf.Tensor): tf.Tensor => product(x, y, transposeA, transposeB);
        return [f(a, b), ...tf.grads(f)([a, b], dy)].map((t) => ({ shape: t.shape, data: t.dataSync() }));
      });
      both[0].forEach((found, i) => expect(found).toBeAllclose(both[1][i]));
    });
  });

  it('leaves nothing behind', () => {
    const [a, b] = [tf.ones([2, 3]), tf.ones([3, 2])];
    expect(leftBehind(() => matrixProduct(a, b))).toBe(1);
    tf.dispose([a, b]);
  });

  it('refuses factors that do not fit', () => {
    expect(() => matrixProduct(tf.ones([2, 3]), tf.ones([2, 3]))).toThrow(
      /ops\.matrixProduct: expected b of shape \[K=3, N\]/,
    );
  });
});
