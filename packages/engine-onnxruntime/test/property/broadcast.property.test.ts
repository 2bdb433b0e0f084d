import { GraphBuilder, type Op } from '@selfsup/compile';
import { propertyOptions } from '@selfsup/test-kit';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { onnxruntimeEngine, type OnnxruntimeEngine } from '../../src/index.js';
import { oneNode, reference, runOnce, wave } from '../support/graphs.js';

const shape = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 });

/** A shape, and one that broadcasts against it: dimensions left out in front or set to 1. */
const pair = shape.chain((full) =>
  fc
    .tuple(
      fc.constant(full),
      fc.tuple(fc.integer({ min: 0, max: full.length }), fc.array(fc.boolean(), { minLength: 4, maxLength: 4 })),
    )
    .map(([s, [drop, ones]]) => [s, s.slice(drop).map((d, i) => (ones[i] ? 1 : d))] as const),
);

describe('shapes', () => {
  let engine: OnnxruntimeEngine;
  beforeAll(async () => {
    engine = await onnxruntimeEngine({ threads: 1 });
  });
  afterAll(() => engine.dispose());

  it('broadcasts element-wise operations as numpy does', async () => {
    const ops = fc.constantFrom<Op>('add', 'subtract', 'multiply', 'divide', 'maximum', 'atan2');
    await fc.assert(
      fc.asyncProperty(ops, pair, fc.boolean(), async (op, [full, small], swapped) => {
        const operands = [wave(full, 0.5, 2), wave(small, -2, -0.5, 2)];
        const { graph, batch } = oneNode(op, swapped ? operands.reverse() : operands, [[full]]);
        expect((await runOnce(engine, graph, batch))['y0']).toBeAllclose(reference(graph, batch)['y0'], {
          maxRel: 2e-6,
        });
      }),
      propertyOptions(40),
    );
  });

  it('multiplies matrices of every layout', async () => {
    const sizes = fc.tuple(
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 6 }),
    );
    const batch = fc.constantFrom(
      [[], []],
      [[2], [2]],
      [
        [3, 2],
        [3, 2],
      ],
      [[3, 1], [2]],
      [[], [2]],
      [[2], []],
    );
    await fc.assert(
      fc.asyncProperty(
        sizes,
        batch,
        fc.boolean(),
        fc.boolean(),
        async ([m, k, n], [left, right], transposeA, transposeB) => {
          const a = wave([...left, ...(transposeA ? [k, m] : [m, k])]);
          const b = wave([...right, ...(transposeB ? [n, k] : [k, n])], -1, 1, 2);
          const out = [...broadcast(left, right), m, n];
          const { graph, batch: arrays } = oneNode('dot_general', [a, b], [[out]], { transposeA, transposeB });
          expect((await runOnce(engine, graph, arrays))['y0']).toBeAllclose(reference(graph, arrays)['y0'], {
            maxRel: 3e-6,
          });
        },
      ),
      propertyOptions(40),
    );
  });

  it('reduces any dimensions', async () => {
    const some = shape.filter((s) => s.length > 0).chain((s) => fc.tuple(fc.constant(s), fc.subarray([...s.keys()])));
    await fc.assert(
      fc.asyncProperty(
        some,
        fc.constantFrom('sum', 'max', 'min', 'prod'),
        fc.boolean(),
        async ([s, dimensions], kind, keepDims) => {
          const out = s.flatMap((d, i) => (dimensions.includes(i) ? (keepDims ? [1] : []) : [d]));
          const { graph, batch } = oneNode('reduce', [wave(s)], [[out]], { kind, dimensions, keepDims });
          expect((await runOnce(engine, graph, batch))['y0']).toBeAllclose(reference(graph, batch)['y0'], {
            maxRel: 3e-6,
          });
        },
      ),
      propertyOptions(40),
    );
  });

  it('sums over many rows, whichever dimensions they lie in', async () => {
    const rows = fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 10 }));
    await fc.assert(
      fc.asyncProperty(rows, fc.integer({ min: 1, max: 9 }), fc.boolean(), async ([n, m], width, keepDims) => {
        const out = keepDims ? [1, 1, width] : [width];
        const attrs = { kind: 'sum', dimensions: [1, 0], keepDims };
        const { graph, batch } = oneNode('reduce', [wave([n, m, width], 0, 1)], [[out]], attrs);
        expect((await runOnce(engine, graph, batch))['y0']).toBeAllclose(reference(graph, batch)['y0'], {
          maxRel: 3e-6,
        });
      }),
      propertyOptions(30),
    );
  });

  it('applies a constant to every pixel', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(
        sizes,
        fc.constantFrom<Op>('add', 'subtract', 'divide'),
        fc.boolean(),
        async (s, op, swapped) => {
          const b = new GraphBuilder();
          const x = b.input('batch', 'x', { shape: s, dtype: 'f32' });
          const channels = s[s.length - 1];
          const constant = b.constant(wave([channels], 1, 2, 3).data as Float32Array, [channels], 'f32');
          const operands = swapped ? [constant, x] : [x, constant];
          b.result('metric', 'y0', b.node(op, operands, {}, [{ shape: s, dtype: 'f32' }])[0]);
          const [graph, batch] = [b.build(op), { x: wave(s, 0.5, 2).data }];
          expect((await runOnce(engine, graph, batch))['y0']).toBeAllclose(reference(graph, batch)['y0'], {
            maxRel: 2e-6,
          });
        },
      ),
      propertyOptions(40),
    );
  });

  it('transposes, slices and pads any array', async () => {
    await fc.assert(
      fc.asyncProperty(
        shape.filter((s) => s.length > 0),
        fc.infiniteStream(fc.nat({ max: 1000 })),
        async (s, draw) => {
          const next = (n: number): number => (draw.next().value ?? 0) % n;
          const permutation = [...s.keys()].sort(() => next(3) - 1);
          const moved = permutation.map((p) => s[p]);
          const transposed = oneNode('transpose', [wave(s)], [[moved]], { permutation });
          const start = s.map((d) => next(d));
          const limit = s.map((d, i) => start[i] + 1 + next(d - start[i]));
          const strides = s.map(() => 1 + next(2));
          const cut = s.map((_, i) => Math.ceil((limit[i] - start[i]) / strides[i]));
          const sliced = oneNode('slice', [wave(s)], [[cut]], { start, limit, strides });
          const [low, high] = [s.map(() => next(3)), s.map(() => next(3))];
          const padded = oneNode('pad', [wave(s)], [[s.map((d, i) => d + low[i] + high[i])]], {
            low,
            high,
            value: 1.5,
          });
          for (const { graph, batch } of [transposed, sliced, padded]) {
            expect([...(await runOnce(engine, graph, batch))['y0']]).toEqual(Array.from(reference(graph, batch)['y0']));
          }
        },
      ),
      propertyOptions(30),
    );
  });

  it('factorizes positive definite matrices of any size', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 3 }), async (n, count) => {
        const x = wave([count, n, n]).data;
        const a = new Float32Array(count * n * n);
        for (let m = 0; m < count; m++) {
          for (let i = 0; i < n * n; i++) {
            const [row, column] = [Math.floor(i / n), i % n];
            let sum = row === column ? 0.2 : 0;
            for (let k = 0; k < n; k++) sum += x[(m * n + row) * n + k] * x[(m * n + column) * n + k];
            a[m * n * n + i] = sum;
          }
        }
        const { graph, batch } = oneNode(
          'cholesky',
          [{ shape: [count, n, n], dtype: 'f32', data: a }],
          [[[count, n, n]]],
        );
        expect((await runOnce(engine, graph, batch))['y0']).toBeAllclose(reference(graph, batch)['y0'], {
          maxRel: 1e-5,
        });
      }),
      propertyOptions(15),
    );
  });
});

function broadcast(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => Math.max(a[a.length - rank + i] ?? 1, b[b.length - rank + i] ?? 1));
}
