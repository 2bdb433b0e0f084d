import '@tensorflow/tfjs';
import { Rng } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import '@selfsup/test-kit';
import { beforeAll, describe, expect, it } from 'vitest';
import { interpret } from '../../src/interpret/interpret.js';
import { traceStep } from '../../src/index.js';
import { KERNEL_CASES, weights, type KernelCase } from '../support/kernel-cases.js';

const SHAPES = { x: [2, 3, 4], y: [2, 3, 4], image: [2, 6, 5, 3] };
const inputs = Object.fromEntries(
  Object.entries(SHAPES).map(([name, shape]) => [
    name,
    Rng.of(3, name).uniforms(
      shape.reduce((a, b) => a * b),
      0.1,
      0.9,
    ),
  ]),
);

/** The value, and the gradient of a weighted sum of it. */
function evaluate(c: KernelCase, tensors: Record<string, tf.Tensor>): Record<string, tf.Tensor> {
  const value = c.run(tensors as never);
  if (c.gradient === false) return { value };
  const of = c.of ?? 'x';
  const loss = (t: tf.Tensor): tf.Scalar => {
    const out = c.run({ ...tensors, [of]: t } as never);
    return tf.sum(tf.mul(out, weights(out.shape.length === 0 ? [1] : out.shape, 9))) as tf.Scalar;
  };
  return { value, gradient: tf.grad(loss)(tensors[of]) };
}

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('traced kernels agree with eager tfjs', () => {
  it.each(KERNEL_CASES)('$name', async (c) => {
    const specs = Object.fromEntries(Object.entries(SHAPES).map(([k, shape]) => [k, { shape, dtype: 'f32' as const }]));
    const graph = await traceStep((_, batch) => ({ state: {}, metrics: evaluate(c, batch) }), {
      state: {},
      batch: specs,
    });
    const got = interpret(graph, {}, inputs).metrics;
    const eager = tf.tidy(() => {
      const tensors = Object.fromEntries(Object.entries(SHAPES).map(([k, shape]) => [k, tf.tensor(inputs[k], shape)]));
      return Object.entries(evaluate(c, tensors)).map(([name, t]) => ({ name, shape: t.shape, data: t.dataSync() }));
    });
    for (const { name, shape, data } of eager) {
      const result = graph.results.find((r) => r.name === name);
      expect(graph.values[result?.value ?? -1]?.shape).toEqual(shape);
      expect(got[name]).toBeAllclose(data as never, { rtol: 2e-5, atol: 2e-6 });
    }
  });
});
