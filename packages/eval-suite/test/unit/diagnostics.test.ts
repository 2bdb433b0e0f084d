import '@selfsup/test-kit';
import { Rng, SslError, type SslErrorCode } from '@selfsup/core';
import { describe, expect, it } from 'vitest';
import {
  alignment,
  codingRateOf,
  diagnoseFeatures,
  type Features,
  featureStd,
  linearCka,
  meanCosine,
  rankMeasures,
  singularValues,
  uniformity,
} from '../../src/index.js';

const repeated = (row: number[], rows: number): Features => ({
  shape: [rows, row.length],
  data: Float32Array.from({ length: rows * row.length }, (_, i) => row[i % row.length]),
});
const random = (rows: number, width: number, seed = 1): Features => ({
  shape: [rows, width],
  data: Rng.of(seed, 'features').normals(rows * width),
});

describe('collapsed features', () => {
  it.each([
    ['one point', repeated([0.1, 0.7, -0.3], 37)],
    ['zero', repeated([0, 0, 0], 5)],
  ])('of %s give numbers that say so', (_, features) => {
    const found = diagnoseFeatures(features);
    expect(found.featureStd).toBe(0);
    for (const [name, value] of Object.entries(found.centredRank)) expect(value, name).toBe(0);
    expect(uniformity(features)).toBe(0);
    expect(linearCka(features, random(features.shape[0], 4))).toBe(0);
    expect(linearCka(features, random(features.shape[0], 4), 'unbiased')).toBe(0);
  });

  it('have the lowest coding rate there is', () => {
    const { rate } = codingRateOf(repeated([3, 4], 16), 0.5);
    expect(rate).toBeAllclose(Math.log(1 + 2 / 0.5) / 2, { rtol: 1e-12 });
    expect(meanCosine(repeated([3, 4], 16))).toBeAllclose(1, { rtol: 1e-7 });
  });
});

describe('evenly spread features', () => {
  const axes: Features = { shape: [4, 4], data: Float32Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 2 : 0)) };

  it('use every direction', () => {
    const measures = rankMeasures(singularValues(axes));
    for (const value of Object.values(measures)) expect(value).toBeAllclose(4, { rtol: 1e-5 });
    expect(rankMeasures(singularValues(axes, 'centred')).stableRank).toBeAllclose(3, { rtol: 1e-12 });
  });

  it('have the highest coding rate there is', () => {
    const { rate, alpha } = codingRateOf(axes, 0.5);
    expect(rate).toBeAllclose((4 / 2) * Math.log(1 + alpha), { rtol: 1e-12 });
    expect(meanCosine(axes)).toBeAllclose(0, { atol: 1e-15 });
  });
});

describe('linearCka', () => {
  it('is 1 for features of the same structure, small for unrelated ones', () => {
    const features = random(200, 6);
    const scaled = { ...features, data: features.data.map((x) => 3 * x) };
    expect(linearCka(features, scaled)).toBeAllclose(1);
    expect(linearCka(features, scaled, 'unbiased')).toBeAllclose(1);
    expect(Math.abs(linearCka(features, random(200, 6, 2), 'unbiased'))).toBeLessThan(0.1);
  });
});

describe('features that cannot be measured', () => {
  const codeOf = (action: () => unknown): SslErrorCode | undefined => {
    try {
      action();
    } catch (error) {
      return SslError.is(error) ? error.code : undefined;
    }
    return undefined;
  };
  const nan: Features = { shape: [2, 2], data: Float32Array.of(1, 2, NaN, 4) };

  it.each<[string, () => unknown, SslErrorCode]>([
    ['NaN', () => diagnoseFeatures(nan), 'NON_FINITE'],
    ['no rows', () => featureStd({ shape: [0, 3], data: new Float32Array(0) }), 'DATA_EMPTY'],
    ['a flat array', () => featureStd({ shape: [3], data: new Float32Array(3) }), 'SHAPE_MISMATCH'],
    ['one row for pairs', () => meanCosine(random(1, 3)), 'SHAPE_MISMATCH'],
    ['one row for uniformity', () => uniformity(random(1, 3)), 'SHAPE_MISMATCH'],
    ['positives of another number', () => alignment(random(3, 3), random(2, 3)), 'SHAPE_MISMATCH'],
    ['other images', () => linearCka(random(5, 3), random(6, 3)), 'SHAPE_MISMATCH'],
    ['three rows, unbiased', () => linearCka(random(3, 3), random(3, 3), 'unbiased'), 'SHAPE_MISMATCH'],
    ['epsilon 0', () => codingRateOf(random(3, 3), 0), 'BAD_OPTION'],
  ])('%s', (_, action, code) => expect(codeOf(action)).toBe(code));

  it('one row still has a spread of 0', () => expect(featureStd(random(1, 3))).toBe(0));
});
