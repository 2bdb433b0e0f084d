import '@tensorflow/tfjs';
import { SslError } from '@selfsup/core';
import '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { cholesky, logDet, triangularSolve } from '../../src/index.js';
import { lowerTriangular, positiveDefinite, stack } from '../matrices.js';
import * as reference from '../reference.js';
import { differences, gradients, host, type Host, leftBehind, normals, run, tensor } from '../support.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** Float32 rounding of one operation. */
const ROUNDING = 6e-8;

function product(l: ArrayLike<number>, n: number): Float64Array {
  const factor = Float64Array.from(l);
  return reference.matMul(factor, reference.transpose(factor, n, n), n, n, n);
}

/** Lets the cpu backend do what GPU shaders may do: a finite root of a negative number, and 0 / 0 = 1. */
function makeRootsFinite(): () => void {
  const replace = (kernelName: string, kernelFunc: tf.KernelFunc): (() => void) => {
    const original = tf.getKernel(kernelName, 'cpu');
    tf.unregisterKernel(kernelName, 'cpu');
    tf.registerKernel({ kernelName, backendName: 'cpu', kernelFunc });
    return () => {
      tf.unregisterKernel(kernelName, 'cpu');
      tf.registerKernel(original);
    };
  };
  const of = (f: (x: number) => number, x: tf.TensorInfo | undefined): tf.Tensor => {
    const t = x as tf.Tensor;
    return tf.tensor(t.dataSync<'float32'>().map(f), t.shape, 'float32');
  };
  const sqrt = replace('Sqrt', ({ inputs }) => of((v) => Math.sqrt(Math.abs(v)), inputs['x']));
  const rsqrt = replace('Rsqrt', ({ inputs }) => of((v) => 1 / Math.sqrt(Math.abs(v)), inputs['x']));
  const divide = tf.getKernel('RealDiv', 'cpu').kernelFunc;
  const realDiv = replace('RealDiv', (call) => {
    const quotient = divide(call) as tf.TensorInfo;
    return of((v) => (Number.isNaN(v) ? 1 : v), tf.engine().makeTensorFromTensorInfo(quotient));
  });
  return () => [sqrt, rsqrt, realDiv].forEach((undo) => undo());
}

describe('cholesky', () => {
  it.each([1, 2, 3, 7, 8, 31, 32, 33, 64, 70])('factorises n = %i', (n) => {
    const a = positiveDefinite(1, n, 20);
    const l = run(cholesky, a);
    expect(l).toBeAllclose(reference.cholesky(a.data, n), { maxRel: 2e-6 });
    for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) expect(l[i * n + j]).toBe(0);
  });

  it('keeps leading dimensions and treats every matrix on its own', () => {
    const matrices = [5, 6, 7, 8, 9, 10].map((seed) => positiveDefinite(seed, 35, 50));
    const all: Host = { shape: [2, 3, 35, 35], data: stack(...matrices).data };
    const l = run(cholesky, all);
    matrices.forEach((a, i) => {
      expect(l.subarray(i * 35 * 35, (i + 1) * 35 * 35)).toBeAllclose(run(cholesky, a), { maxRel: 1e-7 });
    });
    expect(tf.tidy(() => cholesky(tensor(all)).shape)).toEqual([2, 3, 35, 35]);
  });

  it('looks at the symmetric part only', () => {
    const a = positiveDefinite(2, 6, 10);
    const skew = normals(3, [6, 6], 0.1).data;
    const bent = host(
      [6, 6],
      a.data.map((v, i) => v + skew[i] - skew[(i % 6) * 6 + Math.floor(i / 6)]),
    );
    expect(run(cholesky, bent)).toBeAllclose(run(cholesky, a), { maxRel: 1e-6 });
  });

  describe.each(['geometric', 'one-large', 'half-large'] as const)(
    'on ill-conditioned input, spectrum %s',
    (spectrum) => {
      it.each([8, 40, 100])('multiplies back to rounding at condition 1e6, n = %i', (n) => {
        for (let seed = 0; seed < 8; seed++) {
          const a = positiveDefinite(seed, n, 1e6, spectrum);
          expect(product(run(cholesky, a), n)).toBeAllclose(a.data, { maxRel: 7 * ROUNDING });
        }
      });

      it.each([8, 40, 100])('has the log-determinant of the matrix, n = %i', (n) => {
        const a = positiveDefinite(5, n, 1e6, spectrum);
        // Eigenvalues near 1 beside one of 1e6 are known to 0.06 in float32, whatever the algorithm.
        const value = run(logDet, a)[0];
        expect(Math.abs(value - reference.logDet(a.data, n))).toBeLessThan(0.05 * Math.sqrt(n));
      });
    },
  );

  it('factorises 256 x 256 at condition 1e6', () => {
    const a = positiveDefinite(6, 256, 1e6);
    expect(product(run(cholesky, a), 256)).toBeAllclose(a.data, { maxRel: 1e-6 });
    expect(run(logDet, a)[0]).toBeAllclose(reference.logDet(a.data, 256), { rtol: 1e-5 });
  });

  it.each([3, 40])('has the gradient of the symmetric part, n = %i', (n) => {
    const a = positiveDefinite(7, n, 8);
    const dl = normals(8, [n, n]);
    const [g] = gradients(cholesky, dl, a);
    if (n <= 3) {
      const expected = differences((v) => reference.cholesky(v, n), dl, a)[0];
      expect(g).toBeAllclose(expected, { maxRel: 1e-5 });
    } else {
      // One direction is enough at this size.
      const direction = normals(9, [n, n]);
      const moved = (t: number): number =>
        reference
          .cholesky(
            a.data.map((v, i) => v + t * direction.data[i]),
            n,
          )
          .reduce((s, v, i) => s + v * dl.data[i], 0);
      const slope = g.reduce((s, v, i) => s + v * direction.data[i], 0);
      expect(slope).toBeAllclose((moved(1e-6) - moved(-1e-6)) / 2e-6, { rtol: 1e-4 });
    }
  });

  describe('of a matrix that is not positive definite', () => {
    const diagonal = (...values: number[]): Host => {
      const n = values.length;
      return host(
        [n, n],
        Array.from({ length: n * n }, (_, k) => (k % (n + 1) === 0 ? values[k % n] : 0)),
      );
    };
    const cases: Record<string, Host> = {
      zero: diagonal(0, 0, 0),
      'negative first pivot': diagonal(-1, 1, 1),
      'negative last pivot': diagonal(1, 1, -1e-3),
      'zero last pivot': diagonal(1, 1, 0),
      'all ones': host([3, 3], new Array(9).fill(1)),
      indefinite: host([2, 2], [1, 2, 2, 1]),
      'NaN inside': host([2, 2], [1, NaN, NaN, 1]),
      'infinite pivot': diagonal(1, Infinity, 1),
      'bad pivot in the second block': diagonal(...new Array(40).fill(1), -1, ...new Array(5).fill(1)),
      'bad pivot at the end of the second block': diagonal(...new Array(50).fill(1), -1e-6),
    };
    const expectNaN = (a: Host): void => {
      const n = a.shape[0];
      const l = run(cholesky, a);
      expect(Array.from({ length: n }, (_, i) => l[i * (n + 1)]).some(Number.isNaN)).toBe(true);
      expect(run(logDet, a)[0]).toBeNaN();
    };

    it.each(Object.keys(cases))('says NaN: %s', (name) => expectNaN(cases[name]));

    it.each(Object.keys(cases))('says NaN where roots of negative numbers and 0 / 0 are finite: %s', (name) => {
      const restore = makeRootsFinite();
      try {
        expectNaN(cases[name]);
      } finally {
        restore();
      }
    });

    it('leaves the other matrices of the stack alone', () => {
      const good = positiveDefinite(10, 3, 5);
      const l = run(cholesky, stack(good, cases['negative last pivot'], good));
      expect(l.subarray(0, 9)).toBeAllclose(run(cholesky, good));
      expect(l.subarray(9, 18).some(Number.isNaN)).toBe(true);
      expect(l.subarray(18)).toBeAllclose(run(cholesky, good));
    });
  });

  it('refuses what is not square', () => {
    expect(() => cholesky(tf.zeros([2, 3]))).toThrow(/ops\.cholesky: expected a of shape .*got \[2, 3\]\. Fix: pass a/);
    expect(() => cholesky(tf.zeros([3]))).toThrow(SslError);
    expect(() => logDet(tf.zeros([4, 2, 3]))).toThrow(/ops\.logDet/);
  });
});

describe.each([false, true])('triangularSolve, transpose %s', (transpose) => {
  const op = (l: tf.Tensor, b: tf.Tensor): tf.Tensor => triangularSolve(l, b, { transpose });

  it.each([
    [1, 1],
    [2, 3],
    [7, 1],
    [32, 4],
    [33, 2],
    [70, 5],
    [130, 3],
  ])('solves %i equations for %i right-hand sides', (n, m) => {
    const l = lowerTriangular(11, n);
    const b = normals(12, [n, m]);
    expect(run(op, l, b)).toBeAllclose(reference.triangularSolve(l.data, b.data, n, m, transpose), { maxRel: 2e-5 });
  });

  it('keeps leading dimensions and treats every system on its own', () => {
    const [n, m] = [37, 3];
    const ls = [1, 2, 3, 4, 5, 6].map((seed) => lowerTriangular(seed, n));
    const bs = [1, 2, 3, 4, 5, 6].map((seed) => normals(seed, [n, m]));
    const x = run(
      op,
      { shape: [3, 2, n, n], data: stack(...ls).data },
      { shape: [3, 2, n, m], data: stack(...bs).data },
    );
    ls.forEach((l, i) => {
      const one = run(op, l, bs[i]);
      expect(x.subarray(i * n * m, (i + 1) * n * m)).toBeAllclose(one, { maxRel: 1e-6 });
    });
  });

  it('ignores what stands above the diagonal', () => {
    const l = lowerTriangular(13, 40);
    const filled = host(
      [40, 40],
      l.data.map((v, i) => (i % 40 > Math.floor(i / 40) ? 9 : v)),
    );
    const b = normals(14, [40, 2]);
    expect(run(op, filled, b)).toBeAllclose(run(op, l, b));
  });

  it('has a small residual on the factor of an ill-conditioned matrix', () => {
    const n = 100;
    const l = host([n, n], reference.cholesky(positiveDefinite(15, n, 1e6).data, n));
    const b = normals(16, [n, 2]);
    const x = Float64Array.from(run(op, l, b));
    const lower = transpose ? reference.transpose(l.data, n, n) : l.data;
    const back = reference.matMul(lower, x, n, n, 2);
    const scale = Math.max(...x.map(Math.abs)) * Math.max(...l.data.map(Math.abs));
    back.forEach((v, i) =>
      expect(Math.abs(v - b.data[i])).toBeLessThan(20 * ROUNDING * Math.max(scale, 1) * Math.sqrt(n)),
    );
  });

  it('has both gradients, that of l in the lower triangle', () => {
    const [n, m] = [4, 3];
    const l = lowerTriangular(17, n);
    const b = normals(18, [n, m]);
    const dy = normals(19, [n, m]);
    const expected = differences((l, b) => reference.triangularSolve(l, b, n, m, transpose), dy, l, b);
    gradients(op, dy, l, b).forEach((g, i) => expect(g).toBeAllclose(expected[i], { maxRel: 1e-5 }));
  });

  it('gives no finite answer for a zero on the diagonal', () => {
    const l = host([2, 2], [1, 0, 1, 0]);
    expect(run(op, l, host([2, 1], [1, 3])).every(Number.isFinite)).toBe(false);
  });

  it('refuses sizes that do not match', () => {
    expect(() => op(tf.zeros([3, 3]), tf.zeros([2, 1]))).toThrow(/ops\.triangularSolve: expected b of shape/);
    expect(() => op(tf.zeros([3, 2]), tf.zeros([3, 1]))).toThrow(/expected l of shape/);
    expect(() => op(tf.zeros([2, 3, 3]), tf.zeros([3, 1]))).toThrow(
      /leading dimensions of l .*Fix: broadcast or reshape b/,
    );
  });
});

describe('logDet', () => {
  it('agrees with the reference for every matrix of a stack', () => {
    const matrices = [20, 21, 22].map((seed) => positiveDefinite(seed, 34, 100));
    expect(run(logDet, stack(...matrices))).toBeAllclose(matrices.map((a) => reference.logDet(a.data, 34)));
  });

  it.each([1, 5, 48])('has the inverse as gradient, n = %i', (n) => {
    const matrices = [23, 24].map((seed) => positiveDefinite(seed, n, 30));
    const [g] = gradients(logDet, host([2], [1, -2]), stack(...matrices));
    expect(g.subarray(0, n * n)).toBeAllclose(reference.inverse(matrices[0].data, n), { maxRel: 1e-5 });
    expect(g.subarray(n * n).map((v) => v / -2)).toBeAllclose(reference.inverse(matrices[1].data, n), { maxRel: 1e-5 });
  });
});

describe('memory', () => {
  it('only results stay, forward and backward', () => {
    const a = tensor(stack(positiveDefinite(25, 40, 5), positiveDefinite(26, 40, 5)));
    const b = tensor(normals(27, [2, 40, 3]));
    expect(leftBehind(() => cholesky(a))).toBe(1);
    expect(leftBehind(() => logDet(a))).toBe(1);
    expect(leftBehind(() => triangularSolve(a, b))).toBe(1);
    expect(leftBehind(() => tf.grad((a) => tf.sum(cholesky(a)))(a))).toBe(1);
    expect(leftBehind(() => tf.grad((a) => tf.sum(logDet(a)))(a))).toBe(1);
    expect(leftBehind(() => tf.grads((a, b) => tf.sum(triangularSolve(a, b)))([a, b]))).toBe(2);
    expect(a.isDisposed || b.isDisposed).toBe(false);
  });
});
