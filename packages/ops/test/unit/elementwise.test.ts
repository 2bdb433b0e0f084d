import '@tensorflow/tfjs';
import { SslError } from '@selfsup/core';
import '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { gelu, layerNorm, linear, normalize, softmax, stopGradient, topK } from '../../src/index.js';
import * as reference from '../reference.js';
import { differences, gradients, host, leftBehind, normals, run, tensor } from '../support.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('gelu', () => {
  const x = host([2, 9], [-40, -8, -5, -3, -2, -1, -0.5, -1e-3, -0, 1e-20, 1e-3, 0.5, 1, 2, 3, 5, 8, 40]);

  it('is x Phi(x) with the exact normal distribution', () => {
    // tfjs computes erf to 1.5e-7.
    expect(run(gelu, x)).toBeAllclose(reference.gelu(x.data), { rtol: 2e-7, atol: 1e-6 });
  });

  it('has its derivative as gradient', () => {
    const dy = normals(1, x.shape);
    expect(gradients(gelu, dy, x)[0]).toBeAllclose(differences(reference.gelu, dy, x)[0], { rtol: 1e-5, atol: 1e-6 });
  });
});

describe('softmax', () => {
  const x = normals(2, [3, 2, 7], 3);
  const inRows = (v: Float64Array): Float64Array => reference.softmax(v, 7);

  it('agrees with the reference, values and gradient', () => {
    const dy = normals(3, x.shape);
    expect(run(softmax, x)).toBeAllclose(inRows(x.data), { rtol: 1e-6, atol: 1e-7 });
    expect(gradients(softmax, dy, x)[0]).toBeAllclose(differences(inRows, dy, x)[0], { rtol: 1e-5, atol: 1e-6 });
  });

  it('takes -Infinity as a weight of zero and does not overflow', () => {
    expect(run(softmax, host([1, 3], [-Infinity, 1, 1]))).toBeAllclose([0, 0.5, 0.5]);
    expect(run(softmax, host([1, 2], [1e30, -1e30]))).toBeAllclose([1, 0]);
  });
});

describe('layerNorm', () => {
  const width = 12;
  const weight = normals(5, [width], 0.3, 1);
  const bias = normals(6, [width], 0.2);

  it.each([1e-6, 1e-5, 0.3])('agrees with the reference, values and all three gradients, epsilon %f', (epsilon) => {
    const x = normals(4, [3, 2, width], 2, 5);
    const dy = normals(7, x.shape);
    const f = (x: Float64Array, w: Float64Array, b: Float64Array): Float64Array =>
      reference.layerNorm(x, w, b, epsilon);
    const op = (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor): tf.Tensor => layerNorm(x, w, b, epsilon);
    expect(run(op, x, weight, bias)).toBeAllclose(f(x.data, weight.data, bias.data), { rtol: 1e-5, atol: 1e-6 });
    const expected = differences(f, dy, x, weight, bias);
    gradients(op, dy, x, weight, bias).forEach((got, i) => {
      expect(got).toBeAllclose(expected[i], { maxRel: 1e-5 });
    });
  });

  it('is finite for a constant row, values and gradient', () => {
    const x = host([2, width], new Float64Array(2 * width).fill(7));
    const op = (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor): tf.Tensor => layerNorm(x, w, b);
    expect(run(op, x, weight, bias)).toBeAllclose([...bias.data, ...bias.data]);
    for (const g of gradients(op, normals(8, x.shape), x, weight, bias)) expect(g.every(Number.isFinite)).toBe(true);
  });

  it('refuses a weight or bias of another width', () => {
    const x = tf.zeros([2, 4]);
    const attempt = (w: number, b: number) => () => layerNorm(x, tf.ones([w]), tf.zeros([b]));
    expect(attempt(3, 4)).toThrow(/ops\.layerNorm: expected weight of shape \[D=4\], got \[3\]\. Fix: pass weight/);
    expect(attempt(4, 5)).toThrow(/expected bias of shape \[D=4\], got \[5\]/);
  });
});

describe('normalize', () => {
  it('agrees with the reference, values and gradient, along any axis', () => {
    const x = normals(9, [4, 6]);
    const dy = normals(10, x.shape);
    const rows = (v: Float64Array): Float64Array => reference.normalize(v, 6, 1e-12);
    expect(run((x) => normalize(x), x)).toBeAllclose(rows(x.data));
    expect(gradients((x) => normalize(x), dy, x)[0]).toBeAllclose(differences(rows, dy, x)[0], { maxRel: 1e-6 });
    const columns = (v: Float64Array): Float64Array =>
      reference.transpose(reference.normalize(reference.transpose(v, 4, 6), 4, 1e-12), 6, 4);
    const along = (x: tf.Tensor): tf.Tensor => normalize(x, { axis: 0 });
    expect(run(along, x)).toBeAllclose(columns(x.data));
    expect(gradients(along, dy, x)[0]).toBeAllclose(differences(columns, dy, x)[0], { maxRel: 1e-6 });
  });

  it('is x / epsilon below epsilon, with dy / epsilon as gradient (torch)', () => {
    const x = host([3, 2], [0, 0, 3e-3, -4e-3, 3, -4]);
    const op = (x: tf.Tensor): tf.Tensor => normalize(x, { epsilon: 0.01 });
    expect(run(op, x)).toBeAllclose([0, 0, 0.3, -0.4, 0.6, -0.8]);
    // Third row: (dy - y (y.dy)) / |x| with y = (0.6, -0.8), y.dy = -0.2.
    expect(gradients(op, host([3, 2], [1, 2, 1, 2, 1, 1]), x)[0]).toBeAllclose([100, 200, 100, 200, 0.224, 0.168]);
  });

  it('gives a zero vector a finite gradient at the default epsilon', () => {
    const [g] = gradients((x) => normalize(x), host([1, 3], [1, -2, 0]), host([1, 3], [0, 0, 0]));
    expect(g).toBeAllclose([1e12, -2e12, 0]);
  });

  it('refuses an axis that is not there and a non-positive epsilon', () => {
    const x = tf.ones([2, 3]);
    expect(() => normalize(x, { axis: 2 })).toThrow(/axis of a tensor with 2 dimensions, got 2\. Fix: pass an axis/);
    expect(() => normalize(x, { epsilon: 0 })).toThrow(/epsilon > 0, got 0\. Fix: pass a small positive/);
    let code: string | undefined;
    try {
      normalize(x, { epsilon: Number.NaN });
    } catch (error) {
      code = SslError.is(error) ? error.code : undefined;
    }
    expect(code).toBe('BAD_OPTION');
  });
});

describe('linear', () => {
  const weight = normals(12, [5, 3]);
  const bias = normals(13, [5]);

  it.each([[[3]], [[2, 3]], [[2, 4, 3]], [[2, 1, 4, 3]]])('maps the last axis of %j', (shape) => {
    const x = normals(11, shape);
    const rows = x.data.length / 3;
    const product = (x: Float64Array, w: Float64Array): Float64Array =>
      reference.matMul(x, reference.transpose(w, 5, 3), rows, 3, 5);
    const f = (x: Float64Array, w: Float64Array, b: Float64Array): Float64Array =>
      product(x, w).map((v, i) => v + b[i % 5]);
    const dy = normals(14, [...shape.slice(0, -1), 5]);
    expect(run(linear, x, weight, bias)).toBeAllclose(f(x.data, weight.data, bias.data));
    expect(run((x, w) => linear(x, w), x, weight)).toBeAllclose(product(x.data, weight.data));
    const expected = differences(f, dy, x, weight, bias);
    gradients(linear, dy, x, weight, bias).forEach((g, i) => expect(g).toBeAllclose(expected[i], { maxRel: 1e-6 }));
    expect(tf.tidy(() => linear(tensor(x), tensor(weight)).shape)).toEqual([...shape.slice(0, -1), 5]);
  });

  it('refuses a weight in the other layout and names it', () => {
    expect(() => linear(tf.zeros([2, 3]), tf.zeros([3, 5]))).toThrow(
      /ops\.linear: expected weight of shape \[Out=3, In=3\], got \[3, 5\]/,
    );
    expect(() => linear(tf.zeros([2, 3]), tf.zeros([5, 3]), tf.zeros([3]))).toThrow(/bias of shape \[Out=5\]/);
  });
});

describe('topK', () => {
  it('gives the largest entries in order, the lower index first among equals', () => {
    tf.tidy(() => {
      const { values, indices } = topK(tf.tensor2d([3, 1, 3, 7, 0, 0, 0, 0], [2, 4]), 3);
      expect([...values.dataSync()]).toEqual([7, 3, 3, 0, 0, 0]);
      expect([...indices.dataSync()]).toEqual([3, 0, 2, 0, 1, 2]);
      expect(indices.dtype).toBe('int32');
    });
  });

  it.each([0, 5, 1.5])('refuses k = %f of 4', (k) => {
    expect(() => topK(tf.zeros([2, 4]), k)).toThrow(/k between 1 and 4.*Fix: pass a smaller k/);
  });
});

describe('stopGradient', () => {
  it('keeps the values and gives zero gradients', () => {
    const x = normals(15, [3]);
    expect(run(stopGradient, x)).toBeAllclose(x.data);
    expect(gradients((x) => tf.mul(x, stopGradient(x)), host([3], [1, 1, 1]), x)[0]).toBeAllclose(x.data);
  });
});

describe('memory', () => {
  const x = normals(16, [2, 3, 4]);
  const w = normals(17, [4]);
  const ops: Record<string, () => unknown> = {
    gelu: () => gelu(tensor(x)),
    softmax: () => softmax(tensor(x)),
    layerNorm: () => layerNorm(tensor(x), tensor(w), tensor(w)),
    normalize: () => normalize(tensor(x)),
    linear: () => linear(tensor(x), tensor(normals(18, [5, 4])), tensor(normals(19, [5]))),
    stopGradient: () => stopGradient(tensor(x)),
    topK: () => Object.values(topK(tensor(x), 2)),
  };
  const inputs: Record<string, number> = { layerNorm: 3, linear: 3 };

  it.each(Object.keys(ops))('%s leaves its results and its inputs', (name) => {
    const results = name === 'topK' ? 2 : 1;
    expect(leftBehind(ops[name])).toBe((inputs[name] ?? 1) + results);
  });

  it.each(Object.keys(ops).filter((name) => name !== 'topK'))('the gradient of %s leaves itself alone', (name) => {
    const variable = tensor(x);
    const functions: Record<string, (v: tf.Tensor) => tf.Tensor> = {
      gelu,
      softmax,
      layerNorm: (v) => layerNorm(v, tf.ones([4]), tf.zeros([4])),
      normalize: (v) => normalize(v),
      linear: (v) => linear(v, tf.ones([5, 4])),
      stopGradient: (v) => tf.mul(v, stopGradient(v)),
    };
    const f = (v: tf.Tensor): tf.Tensor => tf.sum(functions[name](v));
    expect(leftBehind(() => tf.grad(f)(variable))).toBe(1);
    expect(variable.isDisposed).toBe(false);
  });

  it('nothing is left when a call is refused', () => {
    const a = tf.zeros([2, 4]);
    const b = tf.zeros([3]);
    expect(leftBehind(() => expect(() => layerNorm(a, b, b)).toThrow(SslError))).toBe(0);
    expect(leftBehind(() => expect(() => linear(a, a, b)).toThrow(SslError))).toBe(0);
    expect(leftBehind(() => expect(() => topK(a, 9)).toThrow(SslError))).toBe(0);
  });
});
