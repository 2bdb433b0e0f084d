import { SslError, type SslErrorCode } from '@selfsup/core';
import { describe, expect, it } from 'vitest';
import { GraphBuilder, validateGraph, type Graph, type Node, type Value } from '../../src/index.js';

const f32 = (...shape: number[]) => ({ shape, dtype: 'f32' as const });

function errorOf(action: () => unknown): { code: SslErrorCode; message: string } {
  try {
    action();
  } catch (error) {
    if (SslError.is(error)) return error;
    throw error;
  }
  throw new Error('expected an SslError');
}

/** y = x + 1, as a plain object that tests can bend. */
function plusOne(): { graph: Graph; values: Value[]; nodes: Node[] } {
  const b = new GraphBuilder();
  const x = b.input('state', 'x', f32(2, 3));
  const [y] = b.node('add', [x, b.scalar(1, 'f32')], {}, [f32(2, 3)]);
  b.result('state', 'x', y);
  const graph = b.build('plus-one');
  return { graph, values: [...graph.values], nodes: [...graph.nodes] };
}

describe('GraphBuilder', () => {
  it('numbers values in the order they are added and keeps their specs', () => {
    const b = new GraphBuilder();
    const x = b.input('batch', 'x', { shape: [2], dtype: 'u8' });
    const outputs = [
      { shape: [1], dtype: 'i32' as const, name: 'best' },
      { shape: [1], dtype: 'i32' as const },
    ];
    const [values, indices] = b.node('top_k', [x], { k: 1 }, outputs);
    b.result('metric', 'values', values);
    b.result('metric', 'indices', indices);
    const graph = b.build('top');
    expect([x, values, indices]).toEqual([0, 1, 2]);
    expect(graph.inputs).toEqual([0]);
    expect(graph.values[0]).toEqual({ id: 0, shape: [2], dtype: 'i32', role: 'batch', name: 'x', boundary: 'u8' });
    expect(b.value(values)).toEqual({ id: 1, shape: [1], dtype: 'i32', role: 'intermediate', name: 'best' });
    expect(errorOf(() => b.value(3)).code).toBe('BAD_OPTION');
  });

  it('stores one distinct value as a single element', () => {
    const b = new GraphBuilder();
    const stored = (data: Float32Array): unknown => b.value(b.constant(data, [data.length], 'f32')).data;
    expect(stored(new Float32Array(5000).fill(0.5))).toEqual(Float32Array.of(0.5));
    expect(stored(Float32Array.of(NaN, NaN))).toEqual(Float32Array.of(NaN));
    expect(stored(Float32Array.of(1, 1, 2))).toEqual(Float32Array.of(1, 1, 2));
    // 0 and -0 are different numbers: 1 / x tells them apart.
    expect(stored(Float32Array.of(0, -0))).toEqual(Float32Array.of(0, -0));
  });

  it('shares small constants of equal type, shape and contents', () => {
    const b = new GraphBuilder();
    const first = b.constant(Float32Array.of(1, 2), [2], 'f32');
    expect(b.constant(Float32Array.of(1, 2), [2], 'f32')).toBe(first);
    expect(b.constant(Float32Array.of(1, 2), [1, 2], 'f32')).not.toBe(first);
    expect(b.constant(Int32Array.of(1, 2), [2], 'i32')).not.toBe(first);
    expect(b.constant(Float32Array.of(1, 3), [2], 'f32')).not.toBe(first);
    expect(b.scalar(7, 'i32', [3])).toBe(b.constant(Int32Array.of(7, 7, 7), [3], 'i32'));
    expect(b.scalar(0, 'f32')).not.toBe(b.scalar(-0, 'f32'));
  });

  it('keeps its own copy of constants and attributes', () => {
    const b = new GraphBuilder();
    const data = Float32Array.of(1, 2);
    const id = b.constant(data, [2], 'f32');
    data[0] = 9;
    expect(b.value(id).data).toEqual(Float32Array.of(1, 2));
  });

  it('refuses constants whose data does not fit', () => {
    const b = new GraphBuilder();
    expect(errorOf(() => b.constant(Float32Array.of(1, 2), [3], 'f32')).code).toBe('SHAPE_MISMATCH');
    expect(errorOf(() => b.constant(Float32Array.of(1, 2), [2], 'i32')).message).toContain('Int32Array of 2 elements');
  });
});

describe('validateGraph', () => {
  it('accepts what GraphBuilder built', () => {
    expect(() => validateGraph(plusOne().graph)).not.toThrow();
  });

  it.each<[string, (parts: ReturnType<typeof plusOne>) => Partial<Graph>, SslErrorCode, string]>([
    ['ids out of range', ({ nodes }) => ({ nodes: [{ ...nodes[0], inputs: [0, 9] }] }), 'BAD_OPTION', '%9'],
    ['use before definition', ({ nodes }) => ({ nodes: [{ ...nodes[0], inputs: [0, 2] }] }), 'BAD_OPTION', 'before'],
    ['two definitions', ({ nodes }) => ({ nodes: [nodes[0], nodes[0]] }), 'BAD_OPTION', 'defined once'],
    ['too few inputs', ({ nodes }) => ({ nodes: [{ ...nodes[0], inputs: [0] }] }), 'BAD_OPTION', '2 inputs'],
    [
      'shapes that do not broadcast',
      ({ values }) => ({ values: values.map((v) => (v.id === 0 ? { ...v, shape: [2, 4] } : v)) }),
      'SHAPE_MISMATCH',
      'output [2, 4]',
    ],
    [
      'wrong element types',
      ({ values }) => ({ values: values.map((v) => (v.id === 0 ? { ...v, dtype: 'i32' as const } : v)) }),
      'SHAPE_MISMATCH',
      'of one type',
    ],
    ['unknown operations', ({ nodes }) => ({ nodes: [{ ...nodes[0], op: 'plus' as 'add' }] }), 'BAD_OPTION', 'plus'],
    ['missing attributes', ({ nodes }) => ({ nodes: [{ ...nodes[0], op: 'compare' }] }), 'BAD_OPTION', 'direction: EQ'],
    [
      'state results without their input',
      () => ({ results: [{ kind: 'state', name: 'y', value: 2 }] }),
      'BAD_OPTION',
      'state:y',
    ],
    [
      'state results of another shape',
      () => ({ results: [{ kind: 'state', name: 'x', value: 1 }] }),
      'SHAPE_MISMATCH',
      '[]',
    ],
    [
      'results of one name',
      () => ({
        results: [
          { kind: 'metric', name: 'm', value: 2 },
          { kind: 'metric', name: 'm', value: 1 },
        ],
      }),
      'BAD_OPTION',
      'twice',
    ],
    ['inputs listed as values of another role', () => ({ inputs: [0, 1] }), 'BAD_OPTION', 'defined'],
  ])('refuses %s', (_, change, code, words) => {
    const parts = plusOne();
    const error = errorOf(() => validateGraph({ ...parts.graph, ...change(parts) }));
    expect(error.code).toBe(code);
    expect(error.message).toContain(words);
  });

  it.each<[Node['op'], number[][], Node['attrs'], number[]]>([
    [
      'dot_general',
      [
        [2, 3],
        [4, 5],
      ],
      { transposeA: false, transposeB: false },
      [2, 5],
    ],
    ['reshape', [[2, 3]], {}, [7]],
    ['broadcast_in_dim', [[3]], {}, [3, 2]],
    ['transpose', [[2, 3]], { permutation: [0, 0] }, [2, 2]],
    ['slice', [[4]], { start: [2], limit: [5], strides: [1] }, [3]],
    [
      'concatenate',
      [
        [2, 3],
        [2, 4],
      ],
      { dimension: 0 },
      [4, 3],
    ],
    ['reduce', [[2, 3]], { kind: 'sum', dimensions: [2], keepDims: false }, [2, 3]],
    ['gather', [[4, 2]], { dimension: 3 }, [4]],
    [
      'convolution',
      [
        [1, 5, 5, 4],
        [3, 3, 3, 8],
      ],
      { strides: [1, 1], dilations: [1, 1], padding: [0, 0, 0, 0], groups: 1 },
      [1, 3, 3, 8],
    ],
    [
      'reduce_window',
      [[1, 2, 2, 1]],
      { kind: 'max', window: [3, 3], strides: [1, 1], padding: [0, 0, 0, 0] },
      [1, 1, 1, 1],
    ],
    ['cholesky', [[2, 3]], {}, [2, 3]],
    ['layer_norm', [[2, 3], [2], [3]], { epsilon: 1e-6 }, [2, 3]],
    [
      'attention',
      [
        [1, 2, 3, 4],
        [1, 2, 5, 4],
        [1, 2, 6, 4],
      ],
      { scale: 1 },
      [1, 2, 3, 4],
    ],
  ])('refuses %s of inputs that do not fit', (op, shapes, attrs, shape) => {
    const b = new GraphBuilder();
    const inputs = shapes.map((s, i) => b.input('batch', `x${i}`, f32(...s)));
    if (op === 'gather') inputs.push(b.input('batch', 'indices', { shape: [1], dtype: 'i32' }));
    const extra = op === 'layer_norm' ? [f32(2, 1), f32(2, 1)] : [];
    b.node(op, inputs, attrs, [f32(...shape), ...extra]);
    expect(errorOf(() => b.build('wrong')).code).toBe('SHAPE_MISMATCH');
  });
});
