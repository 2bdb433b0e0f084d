import { GraphBuilder, interpret, type Graph, type Op } from '@selfsup/compile';
import type { HostArrays } from '@selfsup/core';
import { propertyOptions } from '@selfsup/test-kit';
import { f32, oneNode, operationContract, wave } from '@selfsup/test-kit/operations';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { onnxruntimeEngine, type OnnxruntimeEngine } from '../../src/index.js';

operationContract({ name: 'onnxruntime', create: () => onnxruntimeEngine({ threads: 2 }) });

describe('what this engine writes in its own way', () => {
  let engine: OnnxruntimeEngine;
  beforeAll(async () => {
    engine = await onnxruntimeEngine({ threads: 1 });
  });
  afterAll(() => engine.dispose());

  async function run(graph: Graph, batch: HostArrays): Promise<HostArrays> {
    const executable = await engine.compile(graph);
    try {
      return await executable.run(batch);
    } finally {
      await executable.dispose();
      await executable.store.dispose();
    }
  }

  const reference = (graph: Graph, batch: HostArrays): Record<string, ArrayLike<number>> =>
    interpret(graph, {}, batch, { precision: 'f64' }).metrics;

  it('sums over many rows, whichever dimensions they lie in', async () => {
    const rows = fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 10 }));
    await fc.assert(
      fc.asyncProperty(rows, fc.integer({ min: 1, max: 9 }), fc.boolean(), async ([n, m], width, keepDims) => {
        const out = keepDims ? [1, 1, width] : [width];
        const attrs = { kind: 'sum', dimensions: [1, 0], keepDims };
        const { graph, batch } = oneNode('reduce', [wave([n, m, width], 0, 1)], [[out]], attrs);
        expect((await run(graph, batch))['y0']).toBeAllclose(reference(graph, batch)['y0'], { maxRel: 3e-6 });
      }),
      propertyOptions(30),
    );
  });

  it('a constant for every pixel', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 });
    const ops = fc.constantFrom<Op>('add', 'subtract', 'divide');
    await fc.assert(
      fc.asyncProperty(sizes, ops, fc.boolean(), async (s, op, swapped) => {
        const b = new GraphBuilder();
        const x = b.input('batch', 'x', { shape: s, dtype: 'f32' });
        const channels = s[s.length - 1];
        const constant = b.constant(wave([channels], 1, 2, 3).data as Float32Array, [channels], 'f32');
        const operands = swapped ? [constant, x] : [x, constant];
        b.result('metric', 'y0', b.node(op, operands, {}, [{ shape: s, dtype: 'f32' }])[0]);
        const [graph, batch] = [b.build(op), { x: wave(s, 0.5, 2).data }];
        expect((await run(graph, batch))['y0']).toBeAllclose(reference(graph, batch)['y0'], { maxRel: 2e-6 });
      }),
      propertyOptions(40),
    );
  });

  it('cholesky of a matrix that is not positive definite has NaN from there on', async () => {
    const { graph, batch } = oneNode('cholesky', [f32([3, 3], [4, 2, 0, 2, 0.5, 0, 0, 0, 1])], [[[3, 3]]]);
    const { y0 } = await run(graph, batch);
    expect([...y0.subarray(0, 2)]).toEqual([2, 0]);
    expect(y0[4]).toBeNaN();
  });

  it('gelu and its gradient share the forward result, also at zero', async () => {
    const b = new GraphBuilder();
    const spec = { shape: [9], dtype: 'f32' } as const;
    const x = b.input('batch', 'x', spec);
    const dy = b.input('batch', 'dy', spec);
    const [z] = b.node('multiply', [x, b.scalar(2, 'f32')], {}, [spec]);
    const [y] = b.node('gelu', [z], {}, [spec]);
    const [dx] = b.node('gelu_grad', [dy, z], {}, [spec]);
    b.result('metric', 'y', y);
    b.result('metric', 'dx', dx);
    const graph = b.build('gelus');
    const batch = {
      x: Float32Array.of(0, -0, 1e-38, -1e-20, 1e-6, -0.5, 1, -4, 12),
      dy: new Float32Array(9).fill(1),
    };
    const got = await run(graph, batch);
    const expected = reference(graph, batch);
    for (const name of ['y', 'dx']) expect(got[name]).toBeAllclose(expected[name], { rtol: 2e-6, atol: 1e-7 });
  });
});
