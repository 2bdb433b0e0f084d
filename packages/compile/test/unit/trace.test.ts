import '@tensorflow/tfjs';
import * as tf from '@tensorflow/tfjs-core';
import { SslError } from '@selfsup/core';
import { attention, gelu, layerNorm, logDet, linear } from '@selfsup/ops';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { COMPOSITES, traceStep, type Step } from '../../src/index.js';

const f32 = (...shape: number[]) => ({ shape, dtype: 'f32' as const });

beforeAll(async () => {
  await tf.setBackend('cpu');
});
afterEach(() => {
  expect(tf.getBackend()).toBe('cpu');
});

/** A little of everything: products, layer norm, attention, gelu, a log-det and their gradients. */
const step: Step = ({ w }, { x }) => {
  const loss = (weight: tf.Tensor): tf.Scalar => {
    const y = gelu(linear(x, weight as tf.Tensor2D));
    const z = layerNorm(y, tf.ones([4]) as tf.Tensor1D, tf.zeros([4]) as tf.Tensor1D, 1e-6);
    const q = tf.reshape(z, [1, 1, 3, 4]) as tf.Tensor4D;
    const o = tf.reshape(attention(q, q, q), [3, 4]);
    return tf.sum(logDet(tf.add(tf.eye(3), tf.matMul(o, o, false, true)) as tf.Tensor2D)) as tf.Scalar;
  };
  const { value, grads } = tf.valueAndGrads((weight: tf.Tensor) => loss(weight))([w]);
  return { state: { w: tf.sub(w, tf.mul(grads[0], 0.1)) }, metrics: { loss: value } };
};

const specs = { state: { w: f32(4, 2) }, batch: { x: f32(3, 2) } };

describe('traceStep', () => {
  it('marks products that may be rounded, forward and backward, and no others', async () => {
    const { nodes } = await traceStep(step, { ...specs, composites: COMPOSITES });
    const marks = nodes.filter(({ op }) => op === 'dot_general').map(({ attrs }) => attrs['precision']);
    // x wT and its gradient for w; o oT and its gradient for o, which appears twice in it.
    expect(marks).toEqual(['default', undefined, undefined, undefined, 'default']);
  });

  it('records composites whole for an engine that runs them, and their definition for one that does not', async () => {
    const whole = await traceStep(step, { ...specs, composites: COMPOSITES });
    const ops = new Set(whole.nodes.map((n) => n.op));
    for (const op of [
      'gelu',
      'gelu_grad',
      'layer_norm',
      'layer_norm_grad',
      'attention',
      'attention_grad',
      'cholesky',
    ]) {
      expect(ops).toContain(op);
    }
    const plain = await traceStep(step, specs);
    expect(plain.nodes.filter((n) => (COMPOSITES as readonly string[]).includes(n.op))).toEqual([]);
    expect(plain.nodes.length).toBeGreaterThan(whole.nodes.length);
  });

  it('names the line that reads a value', async () => {
    const reading: Step = ({ w }) => ({ state: {}, metrics: { w: tf.scalar(tf.sum(w).dataSync()[0]) } });
    const error = await traceStep(reading, { state: specs.state, batch: {} }).catch((e: unknown) => e);
    expect(SslError.is(error) && error.code).toBe('READ_WHILE_TRACING');
    expect(String(error)).toMatch(/trace\.test\.ts:\d+/);
  });

  it('refuses a changed state shape, an unknown state name, a large captured tensor and an uncompiled kernel', async () => {
    const code = (s: Step): Promise<string> =>
      traceStep(s, { state: { w: f32(4, 2) }, batch: {} }).then(
        () => 'none',
        (e: unknown) => (SslError.is(e) ? e.code : String(e)),
      );
    expect(await code(({ w }) => ({ state: { w: tf.transpose(w) }, metrics: {} }))).toBe('SHAPE_MISMATCH');
    expect(await code(({ w }) => ({ state: { v: w }, metrics: {} }))).toBe('UNKNOWN_NAME');
    const large = tf.linspace(0, 1, 2 ** 20 + 1);
    expect(await code(() => ({ state: {}, metrics: { m: tf.sum(tf.neg(large)) } }))).toBe('UNSUPPORTED');
    expect((await large.data())[0]).toBe(0);
    large.dispose();
    expect(await code(({ w }) => ({ state: {}, metrics: { m: tf.real(tf.fft(tf.complex(w, w))) } }))).toBe(
      'UNSUPPORTED',
    );
  });

  it('gives the backend back before anything else runs, so that traces may be asked for at once', async () => {
    const backend = tf.getBackend();
    const traces = [1, 2].map(() => traceStep(step, specs));
    expect(tf.getBackend()).toBe(backend);
    const [first, second] = await Promise.all(traces);
    expect(second).toEqual(first);
  });

  it('refuses a trace inside another one', async () => {
    let inner: Promise<unknown> | undefined;
    await traceStep((state, batch) => {
      inner = traceStep(step, specs).catch((error: unknown) => error);
      return step(state, batch);
    }, specs);
    expect(await inner).toMatchObject({ code: 'UNSUPPORTED' });
  });

  it('leaves no tensors behind, also after an error', async () => {
    const before = tf.memory().numTensors;
    await traceStep(step, specs);
    await traceStep(() => {
      throw new Error('user');
    }, specs).catch(() => undefined);
    expect(tf.memory().numTensors).toBe(before);
  });
});
