import '@tensorflow/tfjs';
import '@tensorflow/tfjs-backend-wasm';
import '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import {
  attention,
  cholesky,
  gelu,
  layerNorm,
  linear,
  logDet,
  normalize,
  softmax,
  topK,
  triangularSolve,
} from '../../src/index.js';
import { lowerTriangular, positiveDefinite, stack } from '../matrices.js';
import { gradients, host, type Host, normals, run } from '../support.js';

type Op = (...inputs: tf.Tensor[]) => tf.Tensor;

const x = normals(1, [2, 3, 8]);
const heads = [2, 3, 4].map((seed) => normals(seed, [1, 2, 5, 8]));
const spd = stack(positiveDefinite(5, 40, 100), positiveDefinite(6, 40, 100));
const lower = stack(lowerTriangular(7, 40), lowerTriangular(8, 40));
const rhs = normals(9, [2, 40, 3]);

const cases: Record<string, { op: Op; inputs: Host[] }> = {
  gelu: { op: gelu, inputs: [x] },
  softmax: { op: softmax, inputs: [x] },
  layerNorm: { op: (x, w, b) => layerNorm(x, w, b), inputs: [x, normals(10, [8]), normals(11, [8])] },
  normalize: { op: (x) => normalize(x), inputs: [x] },
  linear: { op: linear, inputs: [x, normals(12, [5, 8]), normals(13, [5])] },
  attention: {
    op: (q, k, v) => attention(q as tf.Tensor4D, k as tf.Tensor4D, v as tf.Tensor4D),
    inputs: heads,
  },
  cholesky: { op: cholesky, inputs: [spd] },
  triangularSolve: { op: (l, b) => triangularSolve(l, b), inputs: [lower, rhs] },
  'triangularSolve, transposed': { op: (l, b) => triangularSolve(l, b, { transpose: true }), inputs: [lower, rhs] },
  logDet: { op: logDet, inputs: [spd] },
};

describe('wasm computes what cpu computes', () => {
  const on = async <T>(backend: string, f: () => T): Promise<T> => {
    expect(await tf.setBackend(backend)).toBe(true);
    return f();
  };

  it.each(Object.keys(cases))('%s, values and gradients', async (name) => {
    const { op, inputs } = cases[name];
    const expected = await on('cpu', () => run(op, ...inputs));
    const shape = tf.tidy(() => op(...inputs.map((x) => tf.tensor(Float32Array.from(x.data), [...x.shape]))).shape);
    const dy = normals(14, shape);
    const expectedGradients = await on('cpu', () => gradients(op, dy, ...inputs));
    expect(await on('wasm', () => run(op, ...inputs))).toBeAllclose(expected, { maxRel: 1e-5 });
    (await on('wasm', () => gradients(op, dy, ...inputs))).forEach((g, i) => {
      expect(g).toBeAllclose(expectedGradients[i], { maxRel: 1e-4 });
    });
  });

  it('topK', async () => {
    const find = (): number[][] =>
      tf.tidy(() => Object.values(topK(tf.tensor2d([3, 1, 3, 7], [1, 4]), 3)).map((t: tf.Tensor) => [...t.dataSync()]));
    expect(await on('wasm', find)).toEqual([
      [7, 3, 3],
      [3, 0, 2],
    ]);
  });

  it('says NaN for a matrix that is not positive definite', async () => {
    const zero = host([2, 2], [0, 0, 0, 0]);
    const indefinite = host([2, 2], [1, 2, 2, 1]);
    const ones = host([2, 2], [1, 1, 1, 1]);
    expect(await on('wasm', () => [zero, indefinite, ones].map((a) => run(logDet, a)[0]))).toEqual([NaN, NaN, NaN]);
  });
});
