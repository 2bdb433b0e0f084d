import '@tensorflow/tfjs';
import '@selfsup/test-kit';
import { compileFunction, interpret, traceStep, type NamedTensors } from '@selfsup/compile';
import { Rng, sizeOf, type Specs } from '@selfsup/core';
import { attention, layerNorm, logDet, matrixProduct, softmax } from '@selfsup/ops';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { emitStableHlo, xlaEngine } from '../../src/index.js';
import { cpuPlugin } from '../plugin.js';

const path = cpuPlugin();

const f32 = (...shape: number[]) => ({ shape, dtype: 'f32' as const });

/** To the nearest number of 8 digits, ties to even, as IEEE 754 has it. */
function toBfloat16(x: number): number {
  const bits = new DataView(new ArrayBuffer(4));
  bits.setFloat32(0, x);
  const word = bits.getUint32(0);
  bits.setUint32(0, ((word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000) >>> 0);
  return bits.getFloat32(0);
}

const arraysOf = (specs: Specs, seed: number): Record<string, Float32Array> =>
  Object.fromEntries(
    Object.entries(specs).map(([name, { shape }]) => [name, Rng.of(seed, name).normals(sizeOf(shape), 1)]),
  );

/** The same function of the same arrays on XLA in both precisions. */
async function inBoth(fn: (inputs: NamedTensors) => NamedTensors, inputs: Specs, arrays: Record<string, Float32Array>) {
  const [exact, rounded] = await Promise.all(
    (['f32', 'bf16'] as const).map(async (precision) => {
      const engine = await xlaEngine({ plugin: path as string, precision });
      try {
        const call = await compileFunction(fn, { engine, inputs });
        return (await call(arrays)) as Record<string, Float32Array>;
      } finally {
        await engine.dispose();
      }
    }),
  );
  return { exact, rounded };
}

/** A product and its gradients, attention, and what keeps its digits. */
const everything = ({ a, b, dy, q }: NamedTensors): NamedTensors => {
  const [da, db] = tf.grads((a: tf.Tensor, b: tf.Tensor) => matrixProduct(a, b, false, true))([a, b], dy);
  const gram = tf.matMul(a, a, false, true);
  const heads = q as tf.Tensor4D;
  return {
    y: matrixProduct(a, b, false, true),
    da,
    db,
    attention: attention(heads, heads, heads),
    gram,
    logDet: logDet(tf.add(gram, tf.mul(tf.eye(12), 10))),
    norm: layerNorm(a, tf.ones([40]), tf.zeros([40])),
    softmax: softmax(a),
  };
};

describe.skipIf(path === undefined)('precision bf16', () => {
  const inputs = { a: f32(12, 40), b: f32(9, 40), dy: f32(12, 9), q: f32(2, 2, 17, 16) };
  const arrays = arraysOf(inputs, 3);

  it('rounds factors of products of networks, forward and backward, and nothing else', async () => {
    const { exact, rounded } = await inBoth(everything, inputs, arrays);
    const graph = await traceStep((_, batch) => ({ state: {}, metrics: everything(batch) }), {
      state: {},
      batch: inputs,
    });
    const coarse = Object.fromEntries(Object.entries(arrays).map(([name, data]) => [name, data.map(toBfloat16)]));
    const { metrics: expected } = interpret(graph, {}, coarse);
    for (const name of ['y', 'da', 'db']) {
      expect(rounded[name]).toBeAllclose(expected[name], { maxRel: 1e-5 });
      expect(rounded[name]).not.toBeAllclose(exact[name], { maxRel: 1e-4 });
    }
    // Its weights are rounded as well.
    expect(rounded['attention']).toBeAllclose(exact['attention'], { maxRel: 2e-2 });
    expect(rounded['attention']).not.toBeAllclose(exact['attention'], { maxRel: 1e-4 });
    for (const name of ['gram', 'logDet', 'norm', 'softmax']) expect(rounded[name]).toEqual(exact[name]);
  });

  it('writes the same program as ever for f32, and float32 sums for bf16', async () => {
    const product = ({ a, b }: NamedTensors): NamedTensors => ({ y: matrixProduct(a, b, false, true) });
    const { a, b } = inputs;
    const graph = await traceStep((_, batch) => ({ state: {}, metrics: product(batch) }), {
      state: {},
      batch: { a, b },
    });
    expect(emitStableHlo(graph).text).not.toContain('bf16');
    expect(emitStableHlo(graph, { precision: 'bf16' }).text).toMatch(
      /dot_general .*tensor<12x40xbf16>, tensor<9x40xbf16>\) -> tensor<12x9xf32>/,
    );
  });
});
