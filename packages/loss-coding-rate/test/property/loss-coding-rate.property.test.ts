import '@tensorflow/tfjs';
import { Rng } from '@selfsup/core';
import { logDet } from '@selfsup/ops';
import { propertyOptions } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  codingRate,
  collapsedExpansion,
  expansion,
  expansionGradient,
  type ExpansionOptions,
  maxExpansion,
  patchCosineLoss,
  type SimDinoOptions,
} from '../../src/index.js';
import * as reference from '../reference.js';
import { gradient, host, type Host, images, joinImages, lossOf, part, run, tensor, units, values } from '../support.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const seed = fc.integer({ min: 0, max: 1_000_000 });
const rows = fc.integer({ min: 1, max: 12 });
const width = fc.integer({ min: 1, max: 10 });
const eps = fc.constantFrom(0.01, 0.05, 0.5, 1, 4);
const alpha = fc.double({ min: 0.05, max: 200, noNaN: true });
const options: fc.Arbitrary<SimDinoOptions> = fc.record({
  codingRateEps: eps,
  compressionWeight: fc.constantFrom(0, 0.5, 1, 3),
  expansionFeatures: fc.constantFrom('student', 'mean-with-teacher'),
  similarity: fc.constantFrom('cosine', 'dot'),
  covariance: fc.constantFrom('per-group', 'all-groups'),
  gamma: fc.constantFrom<SimDinoOptions['gamma'][]>('code', 'theory', 0.7),
});
/** Unit features of student and teacher: groups of size images each. */
const batch = fc
  .record({
    s: seed,
    views: fc.integer({ min: 2, max: 5 }),
    groups: fc.integer({ min: 1, max: 3 }),
    size: fc.integer({ min: 1, max: 5 }),
    d: fc.integer({ min: 2, max: 7 }),
  })
  .map(({ s, views, groups, size, d }) => ({
    student: units(s, [views, groups * size, d]),
    teacher: units(s + 1, [2, groups * size, d]),
    groups,
    size,
    order: Rng.of(s, 'order'),
    s,
  }));

/** Every row times an orthogonal matrix (a product of reflections). */
function rotated(x: Host, s: number): Host {
  const d = x.shape[x.shape.length - 1];
  const data = Float64Array.from(x.data);
  for (let turn = 0; turn < 2; turn++) {
    const v = units(s + turn, [1, d]).data;
    const squared = Array.from(v).reduce((a, b) => a + b * b, 0);
    for (let row = 0; row < data.length; row += d) {
      let along = 0;
      for (let k = 0; k < d; k++) along += v[k] * data[row + k];
      for (let k = 0; k < d; k++) data[row + k] -= (2 * along * v[k]) / squared;
    }
  }
  return host(x.shape, data);
}

/** The images of `[V, B, d]` in another order. */
function reordered(x: Host, order: ArrayLike<number>): Host {
  return joinImages(Array.from(order, (i) => images(x, i, i + 1)));
}

/** The views of `[V, B, d]` in another order. */
function viewsOf(x: Host, order: readonly number[]): Host {
  const step = x.shape[1] * x.shape[2];
  return host(
    x.shape,
    order.flatMap((v) => Array.from({ length: step }, (_, i) => x.data[v * step + i])),
  );
}

const NEAR = { rtol: 2e-5, atol: 2e-5 };

describe('codingRate', () => {
  const rate = (x: Host, a: number): number => run((t) => codingRate(t, { alpha: a }), x)[0];

  it('equals both determinant forms and the float64 reference', () => {
    fc.assert(
      fc.property(seed, rows, width, alpha, (s, n, d, a) => {
        const x = units(s, [n, d]);
        const forms = tf.tidy(() => {
          const f = tensor<tf.Tensor2D>(x);
          const form = (gram: tf.Tensor): number =>
            values(logDet(tf.add(tf.mul(gram, a), tf.eye(gram.shape[0]))))[0] / 2;
          return [form(tf.matMul(f, f, true)), form(tf.matMul(f, f, false, true))];
        });
        const expected = reference.codingRate(x, a);
        for (const value of [rate(x, a), ...forms]) expect(value).toBeAllclose(expected, { rtol: 1e-4, atol: 1e-4 });
      }),
      propertyOptions(),
    );
  });

  it('lies between collapse and orthonormal features, and reaches both', () => {
    fc.assert(
      fc.property(seed, rows, width, alpha, (s, n, d, a) => {
        const k = Math.min(n, d);
        const low = Math.log1p(a * n) / 2;
        const high = (k / 2) * Math.log1p((a * n) / k);
        const value = rate(units(s, [n, d]), a);
        expect(value).toBeGreaterThanOrEqual(low - 1e-4 * (1 + low));
        expect(value).toBeLessThanOrEqual(high + 1e-4 * (1 + high));
        const one = units(s, [1, d]).data;
        const same = host(
          [n, d],
          Array.from({ length: n * d }, (_, i) => one[i % d]),
        );
        expect(rate(same, a)).toBeAllclose(low, { rtol: 1e-4, atol: 1e-5 });
        // Rows along the axes in turn: d axes for n rows, evenly when d divides n or n <= d.
        const even = n <= d ? n : Math.floor(n / d) * d;
        const axes = host(
          [even, d],
          Array.from({ length: even * d }, (_, i) => (i % d === Math.floor(i / d) % d ? 1 : 0)),
        );
        const best = Math.min(even, d);
        expect(rate(axes, a)).toBeAllclose((best / 2) * Math.log1p((a * even) / best), { rtol: 1e-4, atol: 1e-5 });
      }),
      propertyOptions(),
    );
  });

  it('does not change under rotation or another order of rows, and grows with alpha', () => {
    fc.assert(
      fc.property(seed, rows, width, alpha, fc.double({ min: 1.05, max: 3, noNaN: true }), (s, n, d, a, factor) => {
        const x = units(s, [1, n, d]);
        const flat = (y: Host): Host => host([n, d], y.data);
        const value = rate(flat(x), a);
        expect(rate(flat(rotated(x, s)), a)).toBeAllclose(value, NEAR);
        expect(rate(flat(reordered(x, Rng.of(s, 'rows').permutation(n))), a)).toBeAllclose(value, NEAR);
        expect(rate(flat(x), a * factor)).toBeGreaterThan(value);
      }),
      propertyOptions(),
    );
  });

  it('has the gradient that finite differences of the reference say', () => {
    fc.assert(
      fc.property(seed, rows, width, alpha, (s, n, d, a) => {
        const x = units(s, [n, d]);
        const expected = reference.codingRateGradient(x, a);
        expect(gradient((t) => codingRate(t, { alpha: a }), x)).toBeAllclose(expected, { maxRel: 1e-3, atol: 1e-5 });
      }),
      propertyOptions(),
    );
  });
});

describe('expansion', () => {
  it('stays between collapsedExpansion and maxExpansion, and falls as eps grows', () => {
    fc.assert(
      fc.property(batch, options, ({ student, groups }, { codingRateEps, covariance, gamma }) => {
        const views = host(
          [2, ...student.shape.slice(1)],
          Array.from(student.data).slice(0, (student.data.length / student.shape[0]) * 2),
        );
        const given: ExpansionOptions = { groups, covariance, gamma };
        const at = (e: number): number => run((x) => expansion(x, { ...given, codingRateEps: e }), views)[0];
        const value = at(Number(codingRateEps));
        const [, batchSize, d] = views.shape;
        const setting = { batchSize, width: d, groups, covariance, gamma, codingRateEps: Number(codingRateEps) };
        expect(value).toBeGreaterThanOrEqual(collapsedExpansion(setting) * (1 - 1e-4) - 1e-5);
        expect(value).toBeLessThanOrEqual(maxExpansion(setting) * (1 + 1e-4) + 1e-5);
        // The theory gamma grows with eps itself.
        if (gamma !== 'theory') expect(at(Number(codingRateEps) * 1.5)).toBeLessThan(value);
      }),
      propertyOptions(),
    );
  });

  it('has expansionGradient as its gradient', () => {
    fc.assert(
      fc.property(batch, options, ({ student, groups }, { codingRateEps, covariance, gamma }) => {
        const given: ExpansionOptions = { codingRateEps, groups, covariance, gamma };
        const expected = gradient((x) => expansion(x, given), student);
        expect(run((x) => expansionGradient(x, given), student)).toBeAllclose(expected, { maxRel: 1e-4, atol: 1e-8 });
      }),
      propertyOptions(),
    );
  });
});

describe('simDinoLoss', () => {
  it('does not change when all features are rotated', () => {
    fc.assert(
      fc.property(batch, options, ({ student, teacher, groups, s }, given) => {
        const all = { ...given, groups };
        const before = lossOf(student, teacher, all);
        const after = lossOf(rotated(student, s), rotated(teacher, s), all);
        for (const key of ['loss', 'compression', 'expansion'] as const)
          expect(after[key]).toBeAllclose(before[key], NEAR);
      }),
      propertyOptions(),
    );
  });

  it('does not change when images change places within their group, or whole groups do', () => {
    fc.assert(
      fc.property(batch, options, ({ student, teacher, groups, size, order }, given) => {
        const groupOrder = order.permutation(groups);
        const places = Array.from(groupOrder, (g) => Array.from(order.permutation(size), (i) => g * size + i)).flat();
        const all = { ...given, groups };
        const after = lossOf(reordered(student, places), reordered(teacher, places), all);
        expect(after.loss).toBeAllclose(lossOf(student, teacher, all).loss, NEAR);
      }),
      propertyOptions(),
    );
  });

  it('does not change when the two global views change places, or the local ones', () => {
    fc.assert(
      fc.property(batch, options, ({ student, teacher, groups, order }, given) => {
        const locals = Array.from(order.permutation(student.shape[0] - 2), (v) => v + 2);
        const all = { ...given, groups };
        const after = lossOf(viewsOf(student, [1, 0, ...locals]), viewsOf(teacher, [1, 0]), all);
        expect(after.loss).toBeAllclose(lossOf(student, teacher, all).loss, NEAR);
      }),
      propertyOptions(),
    );
  });

  it('keeps compression within -1..1, 1 when all views agree', () => {
    fc.assert(
      fc.property(batch, options, ({ student, teacher }, given) => {
        expect(Math.abs(lossOf(student, teacher, given).compression)).toBeLessThanOrEqual(1 + 1e-5);
        const same = viewsOf(teacher, [0, 0]);
        const copies = joinViews(same, student.shape[0]);
        expect(lossOf(copies, same, given).compression).toBeAllclose(1);
      }),
      propertyOptions(),
    );
  });

  it('with groups is the mean of separate calls with the same reference batch', () => {
    fc.assert(
      fc.property(batch, options, ({ student, teacher, groups, size }, given) => {
        const own = { ...given, covariance: 'per-group' as const };
        const referenceBatch = groups * size;
        const separate = Array.from({ length: groups }, (_, g) => {
          const [s, t] = [student, teacher].map((x) => images(x, g * size, (g + 1) * size));
          const call = { ...own, referenceBatch };
          return { ...lossOf(s, t, call), gradient: gradient(part('loss', call), s, t), shape: s.shape };
        });
        const joint = lossOf(student, teacher, { ...own, groups });
        for (const key of ['loss', 'compression', 'expansion'] as const) {
          expect(joint[key]).toBeAllclose(separate.reduce((sum, part) => sum + part[key], 0) / groups, NEAR);
        }
        const rowsOf = separate.map(({ shape, gradient: g }) => ({ shape, data: g.map((x) => x / groups) }));
        const whole = gradient(part('loss', { ...own, groups }), student, teacher);
        expect(whole).toBeAllclose(joinImages(rowsOf).data, { maxRel: 1e-4, atol: 1e-6 });
      }),
      propertyOptions(),
    );
  });

  it('does not depend on groups when the covariance is that of all groups', () => {
    fc.assert(
      fc.property(batch, options, ({ student, teacher, groups }, given) => {
        const all = { ...given, covariance: 'all-groups' as const };
        expect(lossOf(student, teacher, { ...all, groups }).loss).toBe(lossOf(student, teacher, all).loss);
      }),
      propertyOptions(),
    );
  });

  it('gives the teacher no gradient', () => {
    fc.assert(
      fc.property(batch, options, ({ student, teacher, groups }, given) => {
        const f = part('loss', { ...given, groups });
        expect(gradient((t, s) => f(s, t), teacher, student).every((g) => g === 0)).toBe(true);
      }),
      propertyOptions(),
    );
  });

  it('has the gradient that finite differences say', () => {
    fc.assert(
      fc.property(batch, options, ({ student, teacher, groups, s }, given) => {
        const all = { ...given, groups };
        const direction = units(s + 2, student.shape).data;
        const step = 1e-3;
        const moved = (sign: number): number =>
          lossOf(
            host(
              student.shape,
              Array.from(student.data, (x, i) => x + sign * step * direction[i]),
            ),
            teacher,
            all,
          ).loss;
        const g = gradient(part('loss', all), student, teacher);
        const slope = g.reduce((sum, v, i) => sum + v * direction[i], 0);
        const scale = Math.hypot(...g) * Math.hypot(...Array.from(direction));
        // The loss is a float32: rounding of 1e-7 over the step, and the curvature for small eps.
        expect(Math.abs(slope - (moved(1) - moved(-1)) / (2 * step))).toBeLessThan(0.02 * scale + 5e-3);
      }),
      propertyOptions(),
    );
  });
});

/** Copies of the first view. */
function joinViews(x: Host, views: number): Host {
  return host(
    [views, ...x.shape.slice(1)],
    Array.from({ length: views }, () => Array.from(x.data).slice(0, x.data.length / 2)).flat(),
  );
}

describe('patchCosineLoss', () => {
  it('is bounded by the masked share, blind to the length of rows, and -share when both agree', () => {
    fc.assert(
      fc.property(
        seed,
        fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 5 }),
        width,
        (s, counts, d) => {
          const weights = counts.flatMap((m) => new Array<number>(m).fill(1 / m));
          fc.pre(weights.length > 0);
          const share = counts.filter((m) => m > 0).length / counts.length;
          const loss = (student: Host, teacher: Host): number =>
            run(
              (a, b) =>
                patchCosineLoss({
                  student: a as tf.Tensor2D,
                  teacher: b as tf.Tensor2D,
                  weights: tf.tensor1d(weights),
                  crops: counts.length,
                }),
              student,
              teacher,
            )[0];
          const student = units(s, [weights.length, d]);
          const teacher = units(s + 1, [weights.length, d]);
          const value = loss(student, teacher);
          expect(Math.abs(value)).toBeLessThanOrEqual(share + 1e-5);
          const stretch = Rng.of(s, 'stretch').uniforms(weights.length, 0.1, 10);
          const longer = host(
            student.shape,
            Array.from(student.data, (x, i) => x * stretch[Math.floor(i / d)]),
          );
          expect(loss(longer, teacher)).toBeAllclose(value, NEAR);
          expect(loss(student, student)).toBeAllclose(-share);
        },
      ),
      propertyOptions(),
    );
  });
});
