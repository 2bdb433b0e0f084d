import { SslError, type HostArrays, type SslErrorCode } from '@selfsup/core';
import { attention, gelu, layerNorm, linear, logDet } from '@selfsup/ops';
import { engineContract, type EngineExample } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { GraphBuilder, traceStep, type Engine, type Graph, type Step } from '../../src/index.js';
import { interpret } from '../../src/interpret/interpret.js';
import { tfjsEngine } from '../../src/node.js';

const f32 = (...shape: number[]) => ({ shape, dtype: 'f32' as const });

async function errorOf(promise: Promise<unknown>): Promise<{ code: SslErrorCode; message: string }> {
  try {
    await promise;
  } catch (error) {
    if (SslError.is(error)) return error;
    throw error;
  }
  throw new Error('expected an SslError');
}

/** A step of gradient descent through products, layer norm, attention, gelu, softmax, top-k and a log-det. */
const descend: Step = ({ weight, gain }, { x, ids }) => {
  const pixels = tf.mul(tf.cast(x, 'float32'), 1 / 255);
  const loss = (w: tf.Tensor, g: tf.Tensor): tf.Scalar => {
    const y = gelu(linear(pixels, w as tf.Tensor2D));
    const z = layerNorm(y, g as tf.Tensor1D, tf.zeros([4]) as tf.Tensor1D, 1e-6);
    const q = tf.reshape(z, [1, 1, 3, 4]) as tf.Tensor4D;
    const o = tf.softmax(tf.reshape(attention(q, q, q), [3, 4]));
    const gram = tf.add(tf.eye(3), tf.matMul(o, o, false, true)) as tf.Tensor2D;
    return tf.add(tf.sum(logDet(gram)), tf.sum(tf.gather(o, ids as tf.Tensor1D))) as tf.Scalar;
  };
  const { value, grads } = tf.valueAndGrads(loss)([weight, gain]);
  const best = tf.topk(weight, 2);
  return {
    state: { weight: tf.sub(weight, tf.mul(grads[0], 0.1)), gain: tf.sub(gain, tf.mul(grads[1], 0.1)) },
    metrics: { loss: value, best: best.values, places: best.indices, ok: tf.all(tf.isFinite(grads[0])) },
  };
};

const specs = {
  state: { weight: f32(4, 2), gain: f32(4) },
  batch: { x: { shape: [3, 2], dtype: 'u8' as const }, ids: { shape: [2], dtype: 'i32' as const } },
};
const start = () => ({
  weight: Float32Array.from([0.3, -0.5, 0.9, 0.1, -0.7, 0.4, 0.2, -0.1]),
  gain: Float32Array.of(1, 0.5, 2, 1.5),
});
const batch = { x: Uint8Array.of(0, 255, 30, 90, 200, 128), ids: Int32Array.of(2, 0) };

/** The step traced for an engine, with what the interpreter makes of it in double. */
async function tracedExample(engine: Engine): Promise<EngineExample> {
  const graph = await traceStep(descend, { ...specs, composites: engine.composites });
  const { state, metrics } = interpret(graph, start(), batch, { precision: 'f64' });
  return { name: 'a traced training step', graph, state: start(), batch, metrics, after: state, maxRel: 1e-5 };
}

beforeAll(async () => {
  await tf.setBackend('cpu');
});
afterEach(() => {
  // Whatever an engine did, the active backend is the one from before.
  expect(tf.getBackend()).toBe('cpu');
});

for (const backend of ['cpu', 'wasm']) {
  const create = (): Engine => tfjsEngine({ backend });
  engineContract({ name: `tfjs ${backend}`, create, examples: [await tracedExample(create())] });
}

describe.each(['cpu', 'wasm'])('tfjs engine on %s', (backend) => {
  const engine = tfjsEngine({ backend });
  afterAll(() => engine.dispose());

  it.each(['abs', 'negate', 'divide', 'remainder'] as const)('%s of whole numbers that are no float32', async (op) => {
    const b = new GraphBuilder();
    const x = b.input('batch', 'x', { shape: [3], dtype: 'i32' });
    const inputs = op === 'abs' || op === 'negate' ? [x] : [x, b.scalar(7, 'i32')];
    b.result('metric', 'y', b.node(op, inputs, {}, [{ shape: [3], dtype: 'i32' }])[0]);
    const graph = b.build(op);
    const numbers = { x: Int32Array.of(2_000_000_011, -2_000_000_011, 16_777_217) };
    const executable = await engine.compile(graph);
    expect((await executable.run(numbers))['y']).toEqual(interpret(graph, {}, numbers).metrics['y']);
    await executable.dispose();
  });

  it('keeps a steady number of tensors over runs, and none after dispose', async () => {
    const graph = await traceStep(descend, { ...specs, composites: engine.composites });
    const before = tf.memory();
    const executable = await engine.compile(graph, { commitIf: 'ok' });
    await executable.store.load(start());
    const loaded = tf.memory();
    const constants = graph.values.filter((v) => v.role === 'constant').length;
    expect(loaded.numTensors).toBe(before.numTensors + constants + 2);
    const losses: number[] = [];
    for (let i = 0; i < 20; i++) {
      losses.push((await executable.run(batch))['loss'][0]);
      expect(tf.memory().numTensors).toBe(loaded.numTensors);
      expect(tf.memory().numDataBuffers).toBe(loaded.numDataBuffers);
      expect(tf.memory().numBytes).toBe(loaded.numBytes);
    }
    expect(losses[19]).toBeLessThan(losses[0]);
    await executable.dispose();
    await executable.store.dispose();
    expect(tf.memory().numTensors).toBe(before.numTensors);
    expect(tf.memory().numDataBuffers).toBe(before.numDataBuffers);
  });

  it('follows the interpreter over several steps', async () => {
    const graph = await traceStep(descend, { ...specs, composites: engine.composites });
    const executable = await engine.compile(graph);
    await executable.store.load(start());
    let state: HostArrays = start();
    for (let i = 0; i < 5; i++) {
      const actual = await executable.run(batch);
      const expected = interpret(graph, state, batch);
      expect(actual['loss']).toBeAllclose(expected.metrics['loss']);
      state = expected.state;
    }
    expect((await executable.store.read(['weight']))['weight']).toBeAllclose(state['weight']);
    await executable.store.dispose();
    await executable.dispose();
  });

  it('needs state to be loaded, and names what is missing', async () => {
    const b = new GraphBuilder();
    b.result('metric', 'copy', b.input('state', 'student.weight', f32(2)));
    const executable = await engine.compile(b.build('copy'));
    const error = await errorOf(executable.run({}));
    expect(error.code).toBe('BAD_DATA');
    expect(error.message).toContain('student.weight');
    expect((await errorOf(executable.store.read(['student']))).code).toBe('BAD_DATA');
  });

  it('hands back u8 state as bytes, and values that are several results at once', async () => {
    const b = new GraphBuilder();
    const bytes = b.input('state', 'bytes', { shape: [2], dtype: 'u8' });
    const x = b.input('batch', 'x', f32(2));
    const constant = b.constant(Float32Array.of(3, 4), [2], 'f32');
    const [next] = b.node('add', [bytes, b.scalar(1, 'i32')], {}, [{ shape: [2], dtype: 'i32' }]);
    b.result('state', 'bytes', next);
    for (const [name, id] of Object.entries({ next, again: next, x, constant })) b.result('metric', name, id);
    const executable = await engine.compile(b.build('several'));
    await executable.store.load({ bytes: Uint8Array.of(1, 200) });
    for (const added of [1, 2]) {
      expect(await executable.run({ x: Float32Array.of(1, 2) })).toEqual({
        next: Int32Array.of(1 + added, 200 + added),
        again: Int32Array.of(1 + added, 200 + added),
        x: Float32Array.of(1, 2),
        constant: Float32Array.of(3, 4),
      });
    }
    expect(await executable.store.read([''])).toEqual({ bytes: Uint8Array.of(3, 202) });
  });

  it('makes large constants of one value when they are needed', async () => {
    const size = 1 << 17;
    const b = new GraphBuilder();
    const x = b.input('batch', 'x', f32(size));
    const [y] = b.node('add', [x, b.scalar(2, 'f32', [size])], {}, [f32(size)]);
    b.result('metric', 'y', y);
    const before = tf.memory().numBytes;
    const executable = await engine.compile(b.build('large'));
    expect(tf.memory().numBytes).toBe(before);
    for (let i = 0; i < 2; i++) {
      const metrics = await executable.run({ x: new Float32Array(size).fill(1) });
      expect(metrics['y'].every((v) => v === 3)).toBe(true);
    }
    expect(tf.memory().numBytes).toBe(before);
    await executable.dispose();
  });

  it('names the operation that fails, frees everything and goes on', async () => {
    const b = new GraphBuilder();
    const ids = b.input('batch', 'ids', { shape: [1], dtype: 'i32' });
    const x = b.input('batch', 'x', f32(1, 2));
    const [y] = b.node('scatter_add', [ids, x], { rows: 2 }, [f32(2, 2)]);
    b.result('metric', 'y', y);
    const executable = await engine.compile(b.build('scatter'));
    const before = tf.memory().numTensors;
    const run = (id: number) => executable.run({ ids: Int32Array.of(id), x: Float32Array.of(1, 2) });
    if (backend === 'cpu') {
      // The wasm kernel does not check its indices.
      const error = await errorOf(run(5));
      expect(error.code).toBe('ENGINE_FAILED');
      expect(error.message).toContain('scatter_add to run on the tfjs backend cpu');
      expect(tf.memory().numTensors).toBe(before);
    }
    expect((await run(1))['y']).toEqual(Float32Array.of(0, 0, 1, 2));
    expect(tf.memory().numTensors).toBe(before);
  });

  it('refuses composites it does not list, flags that are none, and stores of other engines', async () => {
    const graph = (op: 'gelu' | 'negate'): Graph => {
      const b = new GraphBuilder();
      const [y] = b.node(op, [b.input('batch', 'x', f32(2))], {}, [f32(2)]);
      b.result('metric', 'y', y);
      return b.build(op);
    };
    expect((await errorOf(engine.compile(graph('gelu')))).code).toBe('UNSUPPORTED');
    expect((await errorOf(engine.compile(graph('negate'), { commitIf: 'z' }))).code).toBe('UNKNOWN_NAME');
    expect((await errorOf(engine.compile(graph('negate'), { commitIf: 'y' }))).code).toBe('SHAPE_MISMATCH');
    const store = tfjsEngine({ backend }).createStore();
    expect((await errorOf(engine.compile(graph('negate'), { store }))).code).toBe('BAD_OPTION');
    const executable = await engine.compile(graph('negate'));
    await executable.dispose();
    expect((await errorOf(executable.run({ x: Float32Array.of(1, 2) }))).code).toBe('BAD_OPTION');
  });
});

describe('backends of the tfjs engine', () => {
  const empty = new GraphBuilder().build('empty');
  const refused = (backend: string) => errorOf(tfjsEngine({ backend }).compile(empty));

  it.each([
    ['wsam', 'did you mean "wasm"'],
    ['node', 'npm i @tensorflow/tfjs-node and import it before'],
    ['node-gpu', 'npm i @tensorflow/tfjs-node-gpu and import it before'],
    ['webgpu', 'npm i @tensorflow/tfjs-backend-webgpu and import it before'],
    ['webgl', 'it needs a browser'],
  ])('refuses %s and says how to get it', async (backend, fix) => {
    const error = await refused(backend);
    expect(error.code).toBe('BACKEND_MISSING');
    expect(error.message).toContain(fix);
  });

  it('uses a backend that is registered later', async () => {
    const engine = tfjsEngine({ backend: 'late' });
    expect((await errorOf(engine.compile(empty))).code).toBe('BACKEND_MISSING');
    tf.registerBackend('late', () => tf.findBackend('cpu') as tf.KernelBackend);
    expect(await (await engine.compile(empty)).run({})).toEqual({});
  });

  it('takes the active backend by default and tells its device', () => {
    expect(tfjsEngine().devices()).toEqual([{ name: 'tfjs cpu', kind: 'cpu' }]);
    expect(tfjsEngine({ backend: 'webgl' }).devices()).toEqual([{ name: 'tfjs webgl', kind: 'gpu' }]);
  });
});
