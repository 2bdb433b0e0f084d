import '@tensorflow/tfjs';
import { SslError } from '@selfsup/core';
import '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { codingRate, codingRateGradient, expansion, expansionGradient, featureStd } from '../../src/index.js';
import * as reference from '../reference.js';
import { gradient, host, type Host, normals, run, tensor, units } from '../support.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const rate = (alpha: number) => (x: tf.Tensor) => codingRate(x, { alpha });

/** Collapsed features: one direction with a little noise. */
function nearlyCollapsed(seed: number, rows: number, width: number, noise: number): Host {
  const { data } = normals(seed, [rows, width], noise);
  return host(
    [rows, width],
    Array.from(data, (x) => x + 1 / Math.sqrt(width)),
  );
}

describe('codingRate', () => {
  it.each([
    [1, 5],
    [5, 1],
    [4, 9],
    [9, 4],
    [6, 6],
    [20, 35],
    [35, 20],
  ])('agrees with the reference for %i features of width %i, value and gradient', (rows, width) => {
    for (const alpha of [0.1, 3, 100]) {
      const features = units(1, [rows, width]);
      expect(run(rate(alpha), features)[0]).toBeAllclose(reference.codingRate(features, alpha), { rtol: 2e-6 });
      const expected = reference.codingRateGradient(features, alpha);
      expect(gradient(rate(alpha), features)).toBeAllclose(expected, { maxRel: 2e-5 });
      expect(run((x) => codingRateGradient(x, { alpha }), features)).toBeAllclose(expected, { maxRel: 2e-5 });
    }
  });

  it('treats leading dimensions as sets of their own', () => {
    const sets = [1, 2, 3, 4, 5, 6].map((seed) => units(seed, [7, 5]));
    const all: Host = { shape: [2, 3, 7, 5], data: Float64Array.from(sets.flatMap((s) => Array.from(s.data))) };
    expect(run(rate(2), all)).toBeAllclose(sets.map((s) => reference.codingRate(s, 2)));
    expect(tf.tidy(() => codingRate(tensor(all), { alpha: 2 }).shape)).toEqual([2, 3]);
  });

  it('is 0 for features that are 0 and for alpha 0, with a gradient that is 0 too', () => {
    const zero = host([3, 4], new Float64Array(12));
    expect(run(rate(5), zero)[0]).toBe(0);
    expect(gradient(rate(5), zero).every((g) => g === 0)).toBe(true);
    expect(run(rate(0), units(2, [3, 4]))[0]).toBe(0);
  });

  it.each([
    [64, 256, 80, 1e-3],
    [32, 64, 5e3, 1e-3],
    [64, 48, 1e4, 1e-2],
  ])('is right on nearly collapsed features: %i x %i, alpha %f, noise %f', (rows, width, alpha, noise) => {
    const features = nearlyCollapsed(3, rows, width, noise);
    const value = run(rate(alpha), features)[0];
    expect(value).toBeAllclose(reference.codingRate(features, alpha), { rtol: 2e-3 });
    expect(gradient(rate(alpha), features).every(Number.isFinite)).toBe(true);
  });

  it('takes alpha as a tensor', () => {
    const features = units(4, [6, 5]);
    const value = tf.tidy(() => codingRate(tensor(features), { alpha: tf.scalar(7) }).dataSync()[0]);
    expect(value).toBeAllclose(run(rate(7), features)[0], { rtol: 1e-6 });
    const alpha = tf.scalar(7);
    expect(gradient((x) => codingRate(x, { alpha }), features)).toBeAllclose(gradient(rate(7), features));
    const own = run((x) => codingRateGradient(x, { alpha }), features);
    expect(own).toBeAllclose(gradient(rate(7), features), { maxRel: 1e-6 });
  });

  it('says NaN for features that are not finite', () => {
    expect(run(rate(1), host([2, 3], [1, 0, 0, NaN, 0, 0]))[0]).toBeNaN();
    expect(run(rate(1), host([2, 3], [1, 0, 0, Infinity, 0, 0]))[0]).toBeNaN();
  });

  it('refuses what is not a matrix of features', () => {
    expect(() => codingRate(tf.zeros([3]), { alpha: 1 })).toThrow(
      /loss-coding-rate\.codingRate: expected features of shape .* got \[3\]\. Fix: pass features/,
    );
    for (const f of [codingRate, codingRateGradient]) {
      expect(() => f(tf.zeros([3, 2]), { alpha: -1 })).toThrow(/alpha >= 0, got -1\. Fix: take alpha from alphaOf/);
    }
  });
});

describe('expansion', () => {
  it('weighs the mean rate by gamma, with alpha and gamma from the reference batch', () => {
    const features = units(5, [2, 6, 4]);
    const alpha = 4 / (12 * 0.1);
    const set = (view: number, from: number, to: number): Host =>
      host([to - from, 4], Array.from(features.data).slice((view * 6 + from) * 4, (view * 6 + to) * 4));
    const rates = [set(0, 0, 3), set(0, 3, 6), set(1, 0, 3), set(1, 3, 6)].map((s) => reference.codingRate(s, alpha));
    const mean = rates.reduce((a, b) => a + b) / 4;
    const options = { codingRateEps: 0.1, groups: 2, referenceBatch: 12 };
    expect(run((x) => expansion(x, options), features)[0]).toBeAllclose(mean * (1 / 12 + 1 / 4));
    expect(run((x) => expansion(x, { ...options, gamma: 3 }), features)[0]).toBeAllclose(mean * 3);
    const theory = Math.sqrt((0.1 * 12) / (4 * 4));
    expect(run((x) => expansion(x, { ...options, gamma: 'theory' }), features)[0]).toBeAllclose(mean * theory);
  });

  it.each(['code', 'theory', 0.3] as const)('takes eps as a tensor that changes between steps, gamma %s', (gamma) => {
    const features = units(6, [2, 6, 4]);
    const options = { groups: 3, gamma };
    const fixed = run((x) => expansion(x, { ...options, codingRateEps: 0.2 }), features);
    expect(run((x) => expansion(x, { ...options, codingRateEps: tf.scalar(0.2) }), features)).toBeAllclose(fixed);
    const eps = tf.scalar(0.2);
    expect(run((x) => expansionGradient(x, { ...options, codingRateEps: eps }), features)).toBeAllclose(
      gradient((x) => expansion(x, { ...options, codingRateEps: 0.2 }), features),
      { maxRel: 1e-6 },
    );
  });

  it('refuses features that are not [V, B, d], groups that do not divide, eps that is not positive', () => {
    const x = tf.zeros([2, 6, 4]);
    for (const f of [expansion, expansionGradient]) {
      expect(() => f(tf.zeros([6, 4]))).toThrow(/expected features of shape \[V, B, d\], got \[6, 4\]/);
      expect(() => f(x, { groups: 4 })).toThrow(/groups to divide the 6 images of the batch, got 4\. Fix: use as many/);
      expect(() => f(x, { referenceBatch: 0 })).toThrow(/at least one image, got 0\. Fix: pass the number of images/);
      const scope = 'per-groups' as 'per-group';
      expect(() => f(x, { covariance: scope })).toThrow(/covariance .*Fix: did you mean "per-group"/);
      expect(() => f(x, { codingRateEps: -1 })).toThrow(/codingRateEps > 0, got -1\. Fix: pass a positive/);
    }
  });
});

describe('featureStd', () => {
  it('is the sample standard deviation averaged over entries and sets', () => {
    const x = host([2, 3, 2], [1, 5, 2, 5, 3, 5, 0, 0, 0, 2, 0, 4]);
    expect(run(featureStd, x)[0]).toBeAllclose((1 + 0 + 0 + 2) / 4);
  });

  it('is 0 at collapse and about 1 / sqrt(d) for features spread out', () => {
    expect(run(featureStd, host([4, 3], new Array(12).fill(0.5)))[0]).toBe(0);
    expect(run(featureStd, units(7, [400, 16]))[0]).toBeAllclose(0.25, { rtol: 0.02 });
  });

  it('refuses a single image', () => {
    expect(() => featureStd(tf.zeros([1, 4]))).toThrow(/B >= 2, got B = 1\. Fix: pass the features of at least two/);
  });
});

describe('memory', () => {
  it('only results stay, forward, backward and when a call is refused', () => {
    const x = tensor(units(8, [2, 6, 4]));
    const left = (f: () => unknown): number => {
      const before = tf.memory().numTensors;
      f();
      return tf.memory().numTensors - before;
    };
    expect(left(() => codingRate(x, { alpha: 2 }))).toBe(1);
    expect(left(() => codingRateGradient(x, { alpha: 2 }))).toBe(1);
    expect(left(() => expansion(x, { groups: 2 }))).toBe(1);
    expect(left(() => expansionGradient(x, { groups: 2 }))).toBe(1);
    expect(left(() => featureStd(x))).toBe(1);
    expect(left(() => tf.grad((x) => expansion(x, { groups: 2 }))(x))).toBe(1);
    expect(left(() => expect(() => expansion(x, { groups: 4 })).toThrow(SslError))).toBe(0);
    expect(x.isDisposed).toBe(false);
  });
});
