import '@tensorflow/tfjs';
import { Rng } from '@selfsup/core';
import { propertyOptions } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { attention, cholesky, gelu, layerNorm, logDet, normalize, softmax, triangularSolve } from '../../src/index.js';
import { lowerTriangular, positiveDefinite } from '../matrices.js';
import * as reference from '../reference.js';
import { gradients, host, type Host, normals, run } from '../support.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const seed = fc.integer({ min: 0, max: 1_000_000 });
const rows = fc.integer({ min: 1, max: 4 });
const width = fc.integer({ min: 2, max: 9 });
const size = fc.integer({ min: 1, max: 45 });

/** Rows of the given shape, of any scale. */
const matrix = fc
  .tuple(seed, rows, width, fc.double({ min: 0.01, max: 30, noNaN: true }))
  .map(([s, n, w, std]) => normals(s, [n, w], std));

function addToRows(x: Host, shifts: ArrayLike<number>): Host {
  const w = x.shape[1];
  return host(
    x.shape,
    x.data.map((v, i) => v + shifts[Math.floor(i / w)]),
  );
}

describe('softmax', () => {
  it('gives rows that sum to 1 and lie in 0..1', () => {
    fc.assert(
      fc.property(matrix, (x) => {
        const y = run(softmax, x);
        const w = x.shape[1];
        for (let i = 0; i < y.length; i += w) expect(y.subarray(i, i + w).reduce((a, b) => a + b)).toBeCloseTo(1, 5);
        expect(y.every((v) => v >= 0 && v <= 1)).toBe(true);
      }),
      propertyOptions(),
    );
  });

  it('does not change when a row is shifted, and its gradient sums to zero', () => {
    fc.assert(
      fc.property(matrix, seed, (x, s) => {
        const shifts = Rng.of(s, 'shift').uniforms(x.shape[0], -5, 5);
        // Adding rounds x by 2^-24 of its size.
        expect(run(softmax, addToRows(x, shifts))).toBeAllclose(run(softmax, x), { atol: 1e-4 });
        const [g] = gradients(softmax, normals(s, x.shape), x);
        const w = x.shape[1];
        for (let i = 0; i < g.length; i += w) expect(g.subarray(i, i + w).reduce((a, b) => a + b)).toBeCloseTo(0, 5);
      }),
      propertyOptions(),
    );
  });
});

describe('layerNorm', () => {
  const plain = (x: Host): Float32Array =>
    run((t) => layerNorm(t, tf.ones([x.shape[1]]), tf.zeros([x.shape[1]]), 1e-12), x);

  it('gives rows of mean 0 and variance 1, whatever the shift and positive scale of the row', () => {
    fc.assert(
      fc.property(matrix, seed, fc.double({ min: 0.1, max: 10, noNaN: true }), (x, s, factor) => {
        const spread = Math.max(...x.data.map(Math.abs));
        const narrow = Math.min(...spreads(x));
        // Where a row's spread is far below its size, rounding of the input decides.
        fc.pre(narrow > 0.05 * spread && narrow > 0.01);
        const y = plain(x);
        const w = x.shape[1];
        for (let i = 0; i < y.length; i += w) {
          const row = [...y.subarray(i, i + w)];
          expect(row.reduce((a, b) => a + b)).toBeCloseTo(0, 4);
          expect(row.reduce((a, b) => a + b * b, 0) / w).toBeCloseTo(1, 3);
        }
        const shifts = Rng.of(s, 'shift').uniforms(x.shape[0], -spread, spread);
        const moved = addToRows(
          host(
            x.shape,
            x.data.map((v) => v * factor),
          ),
          shifts,
        );
        expect(plain(moved)).toBeAllclose(y, { rtol: 0, atol: 3e-4 });
      }),
      propertyOptions(),
    );
  });

  it('has a gradient that is orthogonal to shifts of x', () => {
    fc.assert(
      fc.property(matrix, seed, (x, s) => {
        const w = x.shape[1];
        const dy = normals(s, x.shape);
        const [g] = gradients((t) => layerNorm(t, tf.ones([w]), tf.zeros([w]), 1e-6), dy, x);
        spreads(x).forEach((spread, row) => {
          const total = g.subarray(row * w, (row + 1) * w).reduce((a, b) => a + b);
          expect(Math.abs(total) * spread).toBeLessThan(1e-5 * Math.max(...dy.data.map(Math.abs)));
        });
      }),
      propertyOptions(),
    );
  });
});

/** Standard deviation of each row. */
function spreads({ data, shape }: Host): number[] {
  const w = shape[1];
  return Array.from({ length: shape[0] }, (_, i) => {
    const row = data.subarray(i * w, (i + 1) * w);
    const mean = row.reduce((a, b) => a + b, 0) / w;
    return Math.sqrt(row.reduce((a, b) => a + (b - mean) ** 2, 0) / w);
  });
}

describe('gelu', () => {
  it('satisfies gelu(x) - gelu(-x) = x and lies between x - 0.17 and x or 0', () => {
    fc.assert(
      fc.property(matrix, (x) => {
        const y = run(gelu, x);
        const mirrored = run(
          gelu,
          host(
            x.shape,
            x.data.map((v) => -v),
          ),
        );
        expect(y.map((v, i) => v - mirrored[i])).toBeAllclose(x.data, { rtol: 1e-6, atol: 1e-6 });
        y.forEach((v, i) => {
          expect(v).toBeLessThanOrEqual(Math.max(0, x.data[i]) + 1e-5);
          expect(v).toBeGreaterThanOrEqual(Math.max(-0.17005, x.data[i] - 0.17005));
        });
      }),
      propertyOptions(),
    );
  });
});

describe('normalize', () => {
  it('gives unit rows, again when applied twice, with a gradient along the sphere', () => {
    fc.assert(
      fc.property(matrix, seed, (x, s) => {
        const op = (t: tf.Tensor): tf.Tensor => normalize(t);
        const y = run(op, x);
        const w = x.shape[1];
        for (let i = 0; i < y.length; i += w) expect(Math.hypot(...y.subarray(i, i + w))).toBeCloseTo(1, 5);
        expect(run(op, host(x.shape, y))).toBeAllclose(y);
        const [g] = gradients(op, normals(s, x.shape), x);
        for (let i = 0; i < g.length; i += w) {
          const row = g.subarray(i, i + w);
          const along = row.reduce((a, b, k) => a + b * y[i + k], 0);
          const scale = 1 / Math.hypot(...x.data.subarray(i, i + w));
          expect(Math.abs(along)).toBeLessThan(1e-5 * scale);
        }
      }),
      propertyOptions(),
    );
  });
});

describe('attention', () => {
  it('does not depend on the order of keys and stays within the values', () => {
    fc.assert(
      fc.property(seed, fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 4 }), (s, m, d) => {
        const [q, k, v] = [normals(s, [1, 1, 3, d]), normals(s + 1, [1, 1, m, d]), normals(s + 2, [1, 1, m, d])];
        const op = (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor): tf.Tensor =>
          attention(q as tf.Tensor4D, k as tf.Tensor4D, v as tf.Tensor4D);
        const order = Rng.of(s, 'order').permutation(m);
        const shuffled = (x: Host): Host =>
          host(
            x.shape,
            [...order].flatMap((i) => [...x.data.subarray(i * d, (i + 1) * d)]),
          );
        const o = run(op, q, k, v);
        expect(run(op, q, shuffled(k), shuffled(v))).toBeAllclose(o, { rtol: 1e-5, atol: 1e-6 });
        o.forEach((value, i) => {
          const column = Array.from({ length: m }, (_, j) => v.data[j * d + (i % d)]);
          expect(value).toBeLessThanOrEqual(Math.max(...column) + 1e-5);
          expect(value).toBeGreaterThanOrEqual(Math.min(...column) - 1e-5);
        });
      }),
      propertyOptions(),
    );
  });
});

describe('factorisations', () => {
  const condition = fc.constantFrom(1, 10, 1e3, 1e5);
  const spectrum = fc.constantFrom('geometric' as const, 'one-large' as const, 'half-large' as const);

  it('cholesky: l lT = a, positive diagonal, zero above it', () => {
    fc.assert(
      fc.property(seed, size, condition, spectrum, (s, n, c, kind) => {
        const a = positiveDefinite(s, n, c, kind);
        const l = Float64Array.from(run(cholesky, a));
        expect(reference.matMul(l, reference.transpose(l, n, n), n, n, n)).toBeAllclose(a.data, { maxRel: 3e-6 });
        for (let i = 0; i < n; i++) {
          expect(l[i * (n + 1)]).toBeGreaterThan(0);
          for (let j = i + 1; j < n; j++) expect(l[i * n + j]).toBe(0);
        }
      }),
      propertyOptions(),
    );
  });

  it('triangularSolve: l x = b and lT x = b', () => {
    fc.assert(
      fc.property(seed, size, rows, fc.boolean(), (s, n, m, transpose) => {
        const l = lowerTriangular(s, n);
        const b = normals(s, [n, m]);
        const x = Float64Array.from(run((l, b) => triangularSolve(l, b, { transpose }), l, b));
        const back = reference.matMul(transpose ? reference.transpose(l.data, n, n) : l.data, x, n, n, m);
        const largest = Math.max(1, ...x.map(Math.abs));
        back.forEach((v, i) => expect(Math.abs(v - b.data[i])).toBeLessThan(2e-5 * largest));
      }),
      propertyOptions(),
    );
  });

  it('logDet: log det(c a) = log det a + n log c, and its gradient at the identity times c is 1 / c', () => {
    fc.assert(
      fc.property(seed, size, condition, fc.double({ min: 0.1, max: 10, noNaN: true }), (s, n, cond, factor) => {
        const a = positiveDefinite(s, n, cond);
        const scaled = host(
          a.shape,
          a.data.map((v) => v * factor),
        );
        const expected = run(logDet, a)[0] + n * Math.log(factor);
        expect(run(logDet, scaled)[0]).toBeAllclose(expected, { rtol: 1e-4, atol: 2e-3 + 1e-7 * cond });
        const eye = host(
          [n, n],
          Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? factor : 0)),
        );
        const [g] = gradients(logDet, host([], [1]), eye);
        expect(g).toBeAllclose(
          eye.data.map((v) => v / factor / factor),
          { maxRel: 1e-5 },
        );
      }),
      propertyOptions(),
    );
  });
});
