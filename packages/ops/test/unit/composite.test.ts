import '@tensorflow/tfjs';
import '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  attention,
  cholesky,
  COMPOSITE_KERNELS,
  type CompositeKernel,
  gelu,
  layerNorm,
  logDet,
  runComposite,
  softmax,
  topK,
  triangularSolve,
} from '../../src/index.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

interface Call {
  readonly kernel: string;
  readonly inputs: readonly string[];
  readonly attrs: Record<string, unknown>;
}

/** Registers kernels for all composites that note how they are called and answer with ones. */
function spy(outputs: Record<string, number> = {}): Call[] {
  const calls: Call[] = [];
  for (const kernelName of Object.values(COMPOSITE_KERNELS)) {
    tf.registerKernel({
      kernelName,
      backendName: 'cpu',
      kernelFunc: ({ inputs, attrs }) => {
        calls.push({ kernel: kernelName, inputs: Object.keys(inputs), attrs: { ...attrs } });
        const infos = Object.values(inputs) as tf.Tensor[];
        const results = Array.from({ length: outputs[kernelName] ?? 1 }, (_, i) =>
          tf.onesLike(infos[Math.min(i, infos.length - 1)]),
        );
        return results.length === 1 ? results[0] : results;
      },
    });
  }
  return calls;
}

afterEach(() => {
  for (const kernelName of Object.values(COMPOSITE_KERNELS)) {
    if (tf.getKernel(kernelName, 'cpu') !== undefined) tf.unregisterKernel(kernelName, 'cpu');
  }
});

describe('runComposite', () => {
  it('runs the body, tidied, while no backend has the kernel', () => {
    const x = tf.ones([3]);
    const before = tf.memory().numTensors;
    const outputs = runComposite('Selfsup.Gelu', { x }, {}, () => [tf.mul(tf.add(x, 1), 2), tf.add(x, x)]);
    expect(outputs.map((y) => [...y.dataSync()])).toEqual([
      [4, 4, 4],
      [2, 2, 2],
    ]);
    expect(tf.memory().numTensors).toBe(before + 2);
  });

  it('runs the kernel of the current backend instead', () => {
    spy();
    const [y] = runComposite('Selfsup.Gelu', { x: tf.zeros([2]) }, {}, () => {
      throw new Error('the body ran');
    });
    expect([...y.dataSync()]).toEqual([1, 1]);
  });
});

describe('functions call their composites by the names of the graph', () => {
  const q = (): tf.Tensor4D => tf.ones([1, 1, 2, 2]);
  const eye = (): tf.Tensor2D => tf.tensor2d([1, 0, 0, 1], [2, 2]);
  type Expected = [CompositeKernel, string[], Record<string, unknown>];
  const cases: Record<string, { run: () => tf.Tensor; expected: Expected[]; outputs?: Record<string, number> }> = {
    gelu: {
      run: () => tf.grad((x) => gelu(x))(tf.ones([2])),
      expected: [
        ['Selfsup.Gelu', ['x'], {}],
        ['Selfsup.GeluGrad', ['dy', 'x'], {}],
      ],
    },
    softmax: {
      run: () => tf.grad((x) => softmax(x))(tf.ones([2])),
      expected: [
        ['Selfsup.Softmax', ['x'], {}],
        ['Selfsup.SoftmaxGrad', ['dy', 'y'], {}],
      ],
    },
    layerNorm: {
      run: () => tf.grad((x) => layerNorm(x, tf.ones([2]), tf.ones([2]), 0.5))(tf.ones([1, 2])),
      expected: [
        ['Selfsup.LayerNorm', ['x', 'weight', 'bias'], { epsilon: 0.5 }],
        ['Selfsup.LayerNormGrad', ['dy', 'x', 'weight', 'mean', 'rstd'], {}],
      ],
      outputs: { 'Selfsup.LayerNorm': 3, 'Selfsup.LayerNormGrad': 3 },
    },
    attention: {
      run: () => tf.grad((x) => attention(x as tf.Tensor4D, q(), q(), { scale: 2 }))(q()),
      expected: [
        ['Selfsup.Attention', ['q', 'k', 'v'], { scale: 2 }],
        ['Selfsup.AttentionGrad', ['do', 'q', 'k', 'v', 'o'], { scale: 2 }],
      ],
      outputs: { 'Selfsup.AttentionGrad': 3 },
    },
    cholesky: {
      run: () => tf.grad((x) => cholesky(x))(eye()),
      expected: [
        ['Selfsup.Cholesky', ['a'], {}],
        ['Selfsup.TriangularSolve', ['a', 'b'], { transpose: true }],
        ['Selfsup.TriangularSolve', ['a', 'b'], { transpose: true }],
      ],
    },
    logDet: {
      run: () => tf.grad((x) => logDet(x))(eye()),
      expected: [
        ['Selfsup.Cholesky', ['a'], {}],
        ['Selfsup.TriangularSolve', ['a', 'b'], { transpose: false }],
        ['Selfsup.TriangularSolve', ['a', 'b'], { transpose: true }],
      ],
    },
    triangularSolve: {
      run: () => tf.grad((b) => triangularSolve(eye(), b))(eye()),
      expected: [
        ['Selfsup.TriangularSolve', ['a', 'b'], { transpose: false }],
        ['Selfsup.TriangularSolve', ['a', 'b'], { transpose: true }],
      ],
    },
    topK: {
      run: () => topK(tf.ones([3]), 2).values,
      expected: [['Selfsup.TopK', ['x'], { k: 2 }]],
      outputs: { 'Selfsup.TopK': 2 },
    },
  };

  it.each(Object.keys(cases))('%s', (name) => {
    const { run, expected, outputs } = cases[name];
    const calls = spy(outputs);
    run();
    expect(calls.map(({ kernel, inputs, attrs }) => [kernel, inputs, attrs])).toEqual(expected);
  });

  it('covers every composite kernel', () => {
    const named = Object.values(cases).flatMap(({ expected }) => expected.map(([kernel]) => kernel));
    expect(new Set(named)).toEqual(new Set(Object.values(COMPOSITE_KERNELS)));
  });
});
