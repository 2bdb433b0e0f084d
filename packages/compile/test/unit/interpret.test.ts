import { sizeOf, SslError } from '@selfsup/core';
import '@selfsup/test-kit';
import { describe, expect, it } from 'vitest';
import { COMPOSITES, GraphBuilder, PRIMITIVES, type GraphDType, type Op } from '../../src/index.js';
import { erf, erfc } from '../../src/interpret/erf.js';
import { evaluateNode, interpret } from '../../src/interpret/interpret.js';

type Attrs = Parameters<GraphBuilder['node']>[2];
type Input = readonly [data: readonly number[], shape: readonly number[], dtype?: GraphDType];

/** Outputs of one operation on f32 inputs (or another type, named third), in double. */
function run(
  op: Op,
  inputs: readonly Input[],
  attrs: Attrs,
  ...outputs: (readonly [readonly number[], GraphDType?])[]
) {
  const values = inputs.map(([data, shape, dtype = 'f32']) => {
    const array = dtype === 'f32' ? Float64Array : dtype === 'i32' ? Int32Array : Uint8Array;
    return { shape, dtype, data: array.from(data) };
  });
  const specs = outputs.map(([shape, dtype = 'f32']) => ({ shape, dtype }));
  return evaluateNode(op, values, attrs, specs, 'f64').map((v) => [...v.data]);
}

describe('erf', () => {
  // Values of Python's math.erf and math.erfc.
  it.each([
    [-6, -1, 2],
    [-2.5, -0.999593047982555, 1.999593047982555],
    [-0.1, -0.1124629160182849, 1.112462916018285],
    [1e-8, 1.1283791670955126e-8, 0.9999999887162083],
    [0.5, 0.5204998778130465, 0.4795001221869535],
    [2, 0.9953222650189527, 0.004677734981047266],
    [2.5, 0.999593047982555, 0.0004069520174449589],
    [3, 0.9999779095030014, 2.2090496998585445e-5],
    [5, 0.9999999999984626, 1.5374597944280347e-12],
  ])('of %f', (x, expected, complement) => {
    expect(erf(x) / expected).toBeCloseTo(1, 14);
    expect(erfc(x) / complement).toBeCloseTo(1, 12);
  });

  it('handles the ends', () => {
    expect([erf(0), erf(Infinity), erf(-Infinity), erfc(Infinity)]).toEqual([0, 1, -1, 0]);
    expect(erf(NaN)).toBeNaN();
  });
});

// prettier-ignore
const EXPECTATIONS: readonly [name: string, actual: number[][], expected: number[][]][] = [
  ['add broadcasts', run('add', [[[1, 2], [2, 1]], [[10, 20, 30], [3]]], {}, [[2, 3]]), [[11, 21, 31, 12, 22, 32]]],
  ['divide truncates integers', run('divide', [[[-7, 7, 9], [3], 'i32'], [[2], [], 'i32']], {}, [[3], 'i32']), [[-3, 3, 4]]],
  ['multiply wraps integers', run('multiply', [[[2 ** 30 + 1], [1], 'i32'], [[7], [], 'i32']], {}, [[1], 'i32']), [[-1073741817]]],
  ['remainder has the sign of the dividend', run('remainder', [[[-7, 7, -7], [3]], [[3, -3, -3], [3]]], {}, [[3]]), [[-1, 1, -1]]],
  ['xor', run('xor', [[[0, 0, 1, 1], [4], 'bool'], [[0, 1, 0, 1], [4], 'bool']], {}, [[4], 'bool']), [[0, 1, 1, 0]]],
  ['compare', run('compare', [[[1, 2, NaN], [3]], [[2, 2, NaN], [3]]], { direction: 'LE' }, [[3], 'bool']), [[1, 1, 0]]],
  ['select broadcasts', run('select', [[[1, 0], [2, 1], 'bool'], [[1, 2], [2]], [[9], []]], {}, [[2, 2]]), [[1, 2, 9, 9]]],
  ['round to even', run('round_nearest_even', [[[-1.5, -0.5, 0.5, 1.5, 2.5, 2.6], [6]]], {}, [[6]]), [[-2, 0, 0, 2, 2, 3]]],
  ['logistic without overflow', run('logistic', [[[-800, 0, 800], [3]]], {}, [[3]]), [[0, 0.5, 1]]],
  ['is_finite', run('is_finite', [[[1, NaN, -Infinity], [3]]], {}, [[3], 'bool']), [[1, 0, 0]]],
  ['convert truncates', run('convert', [[[-1.7, 1.7], [2]]], {}, [[2], 'i32']), [[-1, 1]]],
  ['convert to bool', run('convert', [[[0, 0.25, 256], [3]]], {}, [[3], 'bool']), [[0, 1, 1]]],
  ['broadcast_in_dim', run('broadcast_in_dim', [[[1, 2], [2, 1]]], {}, [[2, 2, 2]]), [[1, 1, 2, 2, 1, 1, 2, 2]]],
  ['transpose', run('transpose', [[[0, 1, 2, 3, 4, 5], [1, 2, 3]]], { permutation: [2, 0, 1] }, [[3, 1, 2]]), [[0, 3, 1, 4, 2, 5]]],
  ['slice', run('slice', [[[0, 1, 2, 3, 4, 5], [2, 3]]], { start: [0, 0], limit: [2, 3], strides: [1, 2] }, [[2, 2]]), [[0, 2, 3, 5]]],
  ['pad', run('pad', [[[1, 2], [2, 1]]], { low: [0, 1], high: [1, 0], value: 9 }, [[3, 2]]), [[9, 1, 9, 2, 9, 9]]],
  ['concatenate', run('concatenate', [[[1, 2], [2, 1]], [[3, 4, 5, 6], [2, 2]]], { dimension: 1 }, [[2, 3]]), [[1, 3, 4, 2, 5, 6]]],
  ['reverse', run('reverse', [[[1, 2, 3, 4], [2, 2]]], { dimensions: [0] }, [[2, 2]]), [[3, 4, 1, 2]]],
  ['iota', run('iota', [], { start: 1, step: -0.5 }, [[4]]), [[1, 0.5, 0, -0.5]]],
  ['gather', run('gather', [[[1, 2, 3, 4, 5, 6], [2, 3]], [[2, 0], [2], 'i32']], { dimension: 1 }, [[2, 2]]), [[3, 1, 6, 4]]],
  ['scatter_add', run('scatter_add', [[[1, 1, 2], [3], 'i32'], [[1, 2, 3, 4, 5, 6], [3, 2]]], { rows: 3 }, [[3, 2]]), [[0, 0, 4, 6, 5, 6]]],
  ['one_hot', run('one_hot', [[[1, 3], [2], 'i32']], { depth: 3, on: 5, off: -1 }, [[2, 3]]), [[-1, 5, -1, -1, -1, -1]]],
  ['reduce keeping dimensions', run('reduce', [[[1, 2, 3, 4], [2, 2]]], { kind: 'max', dimensions: [0], keepDims: true }, [[1, 2]]), [[3, 4]]],
  ['reduce over everything', run('reduce', [[[1, 2, 3, 4], [2, 2]]], { kind: 'prod', dimensions: [0, 1], keepDims: false }, [[]]), [[24]]],
  ['argmax takes the first', run('argmax', [[[1, 5, 5, 7, 0, 7], [2, 3]]], { dimension: 1 }, [[2], 'i32']), [[1, 0]]],
  ['cumsum', run('cumsum', [[[1, 2, 3, 4], [2, 2]]], { dimension: 0, exclusive: true, reverse: true }, [[2, 2]]), [[3, 4, 0, 0]]],
  ['top_k takes the lower index', run('top_k', [[[1, 3, 3, 2], [4]]], { k: 3 }, [[3]], [[3], 'i32']), [[3, 3, 2], [1, 2, 3]]],
  ['dot_general', run('dot_general', [[[1, 2, 3, 4], [2, 2]], [[5, 6, 7, 8], [2, 2]]], { transposeA: true, transposeB: true }, [[2, 2]]), [[23, 31, 34, 46]]],
  ['softmax', run('softmax', [[[1000, 1000 + Math.log(3)], [2]]], {}, [[2]]).map((y) => y.map((p) => Number(p.toFixed(9)))), [[0.25, 0.75]]],
  ['cholesky', run('cholesky', [[[4, 99, 2, 5], [2, 2]]], {}, [[2, 2]]), [[2, 0, 1, 2]]],
  ['triangular_solve', run('triangular_solve', [[[2, 99, 1, 4], [2, 2]], [[2, 9], [2, 1]]], { transpose: false }, [[2, 1]]), [[1, 2]]],
  ['triangular_solve transposed', run('triangular_solve', [[[2, 99, 1, 4], [2, 2]], [[4, 8], [2, 1]]], { transpose: true }, [[2, 1]]), [[1, 2]]],
  // 2 x 2 ones over 3 x 3, padded on the left.
  ['convolution', run('convolution', [[[1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 3, 3, 1]], [[1, 1, 1, 1], [2, 2, 1, 1]]], { strides: [1, 2], dilations: [1, 1], padding: [0, 0, 1, 0], groups: 1 }, [[1, 2, 2, 1]]), [[5, 16, 11, 28]]],
  ['convolution, dilated', run('convolution', [[[1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 3, 3, 1]], [[1, 10], [2, 1, 1, 1]]], { strides: [1, 1], dilations: [2, 1], padding: [0, 0, 0, 0], groups: 1 }, [[1, 1, 3, 1]]), [[71, 82, 93]]],
  ['convolution, grouped', run('convolution', [[[1, 2], [1, 1, 1, 2]], [[10, 100], [1, 1, 1, 2]]], { strides: [1, 1], dilations: [1, 1], padding: [0, 0, 0, 0], groups: 2 }, [[1, 1, 1, 2]]), [[10, 200]]],
  ['reduce_window', run('reduce_window', [[[-1, -2, -3, -4], [1, 2, 2, 1]]], { kind: 'max', window: [2, 2], strides: [2, 2], padding: [1, 1, 1, 1] }, [[1, 2, 2, 1]]), [[-1, -2, -3, -4]]],
  ['reduce_window_grad takes the first', run('reduce_window_grad', [[[5], [1, 1, 1, 1]], [[1, 3, 3, 2], [1, 2, 2, 1]]], { kind: 'max', window: [2, 2], strides: [1, 1], padding: [0, 0, 0, 0] }, [[1, 2, 2, 1]]), [[0, 5, 0, 0]]],
  ['resize_bilinear, half pixel', run('resize_bilinear', [[[0, 1], [1, 1, 2, 1]]], { alignCorners: false, halfPixelCenters: true }, [[1, 1, 4, 1]]), [[0, 0.25, 0.75, 1]]],
  ['resize_bilinear, aligned', run('resize_bilinear', [[[0, 3], [1, 1, 2, 1]]], { alignCorners: true, halfPixelCenters: false }, [[1, 1, 4, 1]]), [[0, 1, 2, 3]]],
  ['resize_nearest', run('resize_nearest', [[[1, 2, 3], [1, 1, 3, 1]]], { alignCorners: false, halfPixelCenters: false }, [[1, 1, 6, 1]]), [[1, 1, 2, 2, 3, 3]]],
  ['gelu', run('gelu', [[[-1, 0, 1], [3]]], {}, [[3]]).map((y) => y.map((v) => Number(v.toFixed(9)))), [[-0.158655254, 0, 0.841344746]]],
  ['layer_norm', run('layer_norm', [[[1, 3], [1, 2]], [[1, 2], [2]], [[0, 5], [2]]], { epsilon: 0 }, [[1, 2]], [[1, 1]], [[1, 1]]), [[-1, 7], [2], [1]]],
  // Both keys weigh a half.
  ['attention', run('attention', [[[0, 0], [1, 1, 1, 2]], [[1, 2, 3, 4], [1, 1, 2, 2]], [[1, 3], [1, 1, 2, 1]]], { scale: 1 }, [[1, 1, 1, 1]]), [[2]]],
];

describe('evaluateNode', () => {
  it.each(EXPECTATIONS)('%s', (_, actual, expected) => {
    expect(actual.map((y) => y.map((x) => x + 0))).toEqual(expected);
  });

  it('is not a number where a matrix is not positive definite', () => {
    expect(
      run(
        'cholesky',
        [
          [
            [1, 2, 2, 1],
            [2, 2],
          ],
        ],
        {},
        [[2, 2]],
      )[0][3],
    ).toBeNaN();
  });

  it('refuses indices out of range', () => {
    expect(() =>
      run(
        'gather',
        [
          [[1, 2], [2]],
          [[2], [1], 'i32'],
        ],
        { dimension: 0 },
        [[1]],
      ),
    ).toThrow(/indices from 0 to 1, got 2/);
    expect(() =>
      run(
        'scatter_add',
        [
          [[-1], [1], 'i32'],
          [[1], [1]],
        ],
        { rows: 2 },
        [[2]],
      ),
    ).toThrow(SslError);
  });

  it('knows every operation', () => {
    for (const op of [...PRIMITIVES, ...COMPOSITES]) {
      // Known ones fail on missing inputs or attributes, unknown ones because they are no function.
      let message = '';
      try {
        evaluateNode(op, [], {}, []);
      } catch (error) {
        message = String(error);
      }
      expect(message).not.toContain('is not a function');
    }
  });
});

describe('interpret', () => {
  function counter() {
    const b = new GraphBuilder();
    const total = b.input('state', 'total', { shape: [2], dtype: 'f32' });
    b.input('state', 'kept', { shape: [1], dtype: 'u8' });
    const bytes = b.input('batch', 'bytes', { shape: [2], dtype: 'u8' });
    const [x] = b.node('convert', [bytes], {}, [{ shape: [2], dtype: 'f32' }]);
    const [third] = b.node('divide', [x, b.scalar(3, 'f32')], {}, [{ shape: [2], dtype: 'f32' }]);
    const [next] = b.node('add', [total, third], {}, [{ shape: [2], dtype: 'f32' }]);
    b.result('state', 'total', next);
    b.result('metric', 'third', third);
    return b.build('counter');
  }
  const state = { total: Float32Array.of(1, 2), kept: Uint8Array.of(7) };
  const batch = { bytes: Uint8Array.of(1, 255) };

  it('hands back the whole new state and the metrics, and leaves its arguments alone', () => {
    const result = interpret(counter(), state, batch);
    const third = Float32Array.of(1 / 3, 85);
    expect(result).toEqual({
      state: { total: Float32Array.of(1 + third[0], 87), kept: Uint8Array.of(7) },
      metrics: { third },
    });
    expect(state.total).toEqual(Float32Array.of(1, 2));
    result.state['kept'][0] = 0;
    expect(state.kept[0]).toBe(7);
  });

  it('computes in double when asked', () => {
    const { state: after } = interpret(counter(), { ...state, total: Float64Array.of(1, 2) }, batch, {
      precision: 'f64',
    });
    expect(after['total']).toEqual(Float64Array.of(1 + 1 / 3, 87));
    expect(interpret(counter(), state, batch, { precision: 'f64' }).state['total']).toEqual(after['total']);
  });

  it('refuses arrays that do not fit', () => {
    const refused = [
      () => interpret(counter(), { total: state.total }, batch),
      () => interpret(counter(), state, { bytes: Uint8Array.of(1) }),
      () => interpret(counter(), state, { ...batch, more: batch.bytes }),
      () => interpret(counter(), { ...state, total: Float64Array.of(1, 2) } as never, batch),
    ];
    for (const action of refused) expect(action).toThrow(expect.objectContaining({ code: 'SHAPE_MISMATCH' }));
  });
});

/** Sum of all outputs weighted with `seeds`, as a function of one input. */
function numericalGradient(
  op: Op,
  inputs: Input[],
  attrs: Attrs,
  seeds: number[],
  shape: number[],
  which: number,
): number[] {
  const step = 1e-5;
  return inputs[which][0].map((_, i) => {
    const at = (delta: number): number => {
      const moved = inputs.map((input, k): Input => {
        return k === which ? [input[0].map((x, j) => (j === i ? x + delta : x)), input[1]] : input;
      });
      const rest = op === 'layer_norm' ? ([[[...shape.slice(0, -1), 1]], [[...shape.slice(0, -1), 1]]] as const) : [];
      const [y] = run(op, moved, attrs, [shape], ...rest);
      return y.reduce((sum, v, j) => sum + v * seeds[j], 0);
    };
    return (at(step) - at(-step)) / (2 * step);
  });
}

describe('gradients of composites agree with differences', () => {
  /** Numbers without pattern. */
  const numbers = (shape: readonly number[], salt: number): number[] =>
    Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(12.9898 * (i + 1) * (salt + 1.7)) * 1.5);

  it('softmax_grad', () => {
    const x: Input = [numbers([2, 3], 1), [2, 3]];
    const seeds = numbers([2, 3], 2);
    const [y] = run('softmax', [x], {}, [[2, 3]]);
    const [dx] = run(
      'softmax_grad',
      [
        [seeds, [2, 3]],
        [y, [2, 3]],
      ],
      {},
      [[2, 3]],
    );
    expect(dx).toBeAllclose(numericalGradient('softmax', [x], {}, seeds, [2, 3], 0), { atol: 1e-9 });
  });

  it('gelu_grad', () => {
    const x: Input = [[-3, -1, -0.1, 0, 0.5, 2, 6], [7]];
    const seeds = numbers([7], 3);
    const [dx] = run('gelu_grad', [[seeds, [7]], x], {}, [[7]]);
    expect(dx).toBeAllclose(numericalGradient('gelu', [x], {}, seeds, [7], 0), { atol: 1e-9 });
  });

  it('layer_norm_grad', () => {
    const shape = [3, 4];
    const inputs: Input[] = [
      [numbers(shape, 4), shape],
      [numbers([4], 5), [4]],
      [numbers([4], 6), [4]],
    ];
    const seeds = numbers(shape, 7);
    const [, mean, rstd] = run('layer_norm', inputs, { epsilon: 0.1 }, [shape], [[3, 1]], [[3, 1]]);
    const saved: Input[] = [[seeds, shape], inputs[0], inputs[1], [mean, [3, 1]], [rstd, [3, 1]]];
    const grads = run('layer_norm_grad', saved, {}, [shape], [[4]], [[4]]);
    grads.forEach((grad, which) => {
      const expected = numericalGradient('layer_norm', inputs, { epsilon: 0.1 }, seeds, shape, which);
      expect(grad).toBeAllclose(expected, { atol: 1e-8 });
    });
  });

  it('attention_grad', () => {
    const [q, k, v] = [
      [1, 2, 3, 2],
      [1, 2, 4, 2],
      [1, 2, 4, 3],
    ];
    const out = [1, 2, 3, 3];
    const inputs: Input[] = [
      [numbers(q, 8), q],
      [numbers(k, 9), k],
      [numbers(v, 10), v],
    ];
    const seeds = numbers(out, 11);
    const [o] = run('attention', inputs, { scale: 0.7 }, [out]);
    const grads = run('attention_grad', [[seeds, out], ...inputs, [o, out]], { scale: 0.7 }, [q], [k], [v]);
    grads.forEach((grad, which) => {
      const expected = numericalGradient('attention', inputs, { scale: 0.7 }, seeds, out, which);
      expect(grad).toBeAllclose(expected, { atol: 1e-8 });
    });
  });
});
