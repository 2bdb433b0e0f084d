import { propertyOptions } from '@selfsup/test-kit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evaluateNode } from '../../src/interpret/interpret.js';
import type { HostValue } from '../../src/interpret/host-value.js';
import { opCases, type OpCase } from '../support/op-cases.js';

const dot = (a: HostValue, b: HostValue): number => Array.from(a.data).reduce((sum, x, i) => sum + x * b.data[i], 0);
const f32 = (shape: readonly number[]) => ({ shape, dtype: 'f32' as const });

/** Inputs and first output of a drawn case, in double. */
function evaluated({ op, inputs, attrs, outputs }: OpCase): { inputs: HostValue[]; y: HostValue } {
  const values = inputs.map((x) => ({ ...x, data: x.dtype === 'f32' ? Float64Array.from(x.data) : x.data }));
  return { inputs: values, y: evaluateNode(op, values, attrs, outputs, 'f64')[0] };
}

describe('the interpreter', () => {
  it('has convolution gradients that are adjoint to the convolution', () => {
    fc.assert(
      fc.property(opCases('convolution_filter_grad'), (drawn) => {
        const { inputs, y: dw } = evaluated(drawn);
        const [x, dy] = inputs;
        const convolve = (w: HostValue): HostValue => evaluateNode('convolution', [x, w], drawn.attrs, [dy], 'f64')[0];
        const [dx] = evaluateNode('convolution_input_grad', [dy, dw], drawn.attrs, [x], 'f64');
        // <x * w, dy> = <w, filter_grad(x, dy)> = <x, input_grad(dy, w)>, here for w = dw.
        const product = dot(convolve(dw), dy);
        expect(dot(dw, dw)).toBeAllclose(product, { rtol: 1e-12, atol: 1e-12 });
        expect(dot(x, dx)).toBeAllclose(product, { rtol: 1e-12, atol: 1e-12 });
      }),
      propertyOptions(),
    );
  });

  it('has a sum-pooling gradient that is adjoint to sum-pooling', () => {
    fc.assert(
      fc.property(opCases('reduce_window_grad'), ({ inputs, outputs, attrs }) => {
        const [dy, x] = evaluated({ op: 'reduce_window_grad', inputs, outputs, attrs }).inputs;
        const sum = { ...attrs, kind: 'sum' };
        const [y] = evaluateNode('reduce_window', [x], sum, [f32(dy.shape)], 'f64');
        const [dx] = evaluateNode('reduce_window_grad', [dy, x], sum, [f32(x.shape)], 'f64');
        expect(dot(x, dx)).toBeAllclose(dot(y, dy), { rtol: 1e-12, atol: 1e-12 });
      }),
      propertyOptions(),
    );
  });

  it('factors matrices and solves with the factor', () => {
    const sizes = fc.record({ n: fc.integer({ min: 1, max: 5 }), m: fc.integer({ min: 1, max: 3 }) });
    const product = (a: HostValue, b: HostValue, transposeA: boolean, transposeB: boolean): HostValue =>
      evaluateNode(
        'dot_general',
        [a, b],
        { transposeA, transposeB },
        [f32([a.shape[transposeA ? 1 : 0], b.shape[transposeB ? 0 : 1]])],
        'f64',
      )[0];
    fc.assert(
      fc.property(
        sizes,
        fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 40, maxLength: 40 }),
        ({ n, m }, x) => {
          const draw = (shape: number[], from: number): HostValue => {
            const length = shape[0] * shape[1];
            return { shape, dtype: 'f32', data: Float64Array.from({ length }, (_, i) => x[(from + i) % 40]) };
          };
          const g = draw([n, n], 0);
          const a = product(g, g, false, true);
          for (let i = 0; i < n; i++) a.data[i * n + i] += 0.5;
          const [l] = evaluateNode('cholesky', [a], {}, [f32([n, n])], 'f64');
          expect(product(l, l, false, true)).toBeAllclose(a, { rtol: 1e-12, atol: 1e-12 });
          const b = draw([n, m], 15);
          for (const transpose of [false, true]) {
            const [solved] = evaluateNode('triangular_solve', [l, b], { transpose }, [f32([n, m])], 'f64');
            expect(product(l, solved, transpose, false)).toBeAllclose(b, { rtol: 1e-11, atol: 1e-11 });
          }
        },
      ),
      propertyOptions(),
    );
  });

  it('rounds to float32 after every operation when it computes in f32', () => {
    fc.assert(
      fc.property(opCases('multiply'), ({ op, inputs, attrs, outputs }) => {
        const [y] = evaluateNode(op, inputs, attrs, outputs);
        expect(y.data).toEqual(y.data.map((v) => (y.dtype === 'f32' ? Math.fround(v) : v)));
        expect(y.data).toBeInstanceOf(y.dtype === 'f32' ? Float32Array : Int32Array);
      }),
      propertyOptions(),
    );
  });
});
