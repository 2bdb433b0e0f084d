import { SslError } from '@selfsup/core';
import '@selfsup/test-kit';
import { describe, expect, it } from 'vitest';
import { alphaOf, collapseBudget, collapsedExpansion, gammaOf, maxExpansion } from '../../src/index.js';

/** The table of the specification (section 3.8), width 256: group size, groups, eps, reduced covariance, then results. */
const TABLE = [
  [64, 8, 0.05, 0, 0.005859, 10, 0.4496, 0.0189, 0.431],
  [64, 8, 0.5, 0, 0.005859, 1, 0.13, 0.0122, 0.118],
  [64, 8, 0.05, 1, 0.005859, 10, 2.2834, 0.025, 2.258],
  [128, 8, 0.05, 0, 0.004883, 5, 0.5599, 0.0158, 0.544],
  [128, 8, 0.05, 1, 0.004883, 5, 1.9028, 0.0209, 1.882],
  [256, 2, 0.05, 0, 0.005859, 10, 1.7984, 0.023, 1.775],
  [512, 1, 0.05, 0, 0.005859, 10, 2.2834, 0.025, 2.258],
  [32, 16, 0.05, 0, 0.005859, 10, 0.2248, 0.0169, 0.208],
  [78, 32, 0.05, 0, 0.004307, 2.051, 0.1874, 0.0109, 0.176],
  [24, 1, 0.05, 0, 0.045573, 213.3, 2.9354, 0.1946, 2.741],
  [32, 1, 0.05, 0, 0.035156, 160, 2.8583, 0.1501, 2.708],
] as const;

describe('collapseBudget', () => {
  it.each(TABLE)('%i images x %i groups, eps %f, reduced %i', (size, groups, codingRateEps, reduced, ...expected) => {
    const [gamma, alpha, maximum, collapsed, gap] = expected;
    const setting = {
      batchSize: size * groups,
      groups,
      width: 256,
      codingRateEps,
      covariance: reduced === 1 ? ('all-groups' as const) : ('per-group' as const),
    };
    const budget = collapseBudget(setting);
    expect(budget.gamma).toBeCloseTo(gamma, 6);
    expect(budget.alpha).toBeAllclose(alpha, { rtol: 3e-4 });
    expect(budget.maximum).toBeCloseTo(maximum, 4);
    expect(budget.collapsed).toBeCloseTo(collapsed, 4);
    expect(budget.gap).toBeCloseTo(gap, 3);
    expect(maxExpansion(setting)).toBe(budget.maximum);
    expect(collapsedExpansion(setting)).toBe(budget.collapsed);
  });

  it('scales with a gamma of its own', () => {
    const setting = { batchSize: 64, width: 256 };
    expect(maxExpansion({ ...setting, gamma: 2 })).toBeAllclose((2 * maxExpansion(setting)) / gammaOf(setting));
  });

  it.each([
    [{ batchSize: 0, width: 8 }, /batchSize to be a positive integer, got 0\. Fix: pass a whole number/],
    [{ batchSize: 8, width: 2.5 }, /width to be a positive integer/],
    [{ batchSize: 8, width: 8, groups: 3 }, /groups to divide the 8 images.*got 3\. Fix: use as many groups/],
    [{ batchSize: 8, width: 8, groups: 0 }, /groups to divide/],
    [{ batchSize: 8, width: 8, codingRateEps: 0 }, /codingRateEps > 0, got 0\. Fix: pass a positive/],
    [{ batchSize: 8, width: 8, gamma: Number.NaN }, /gamma 'code', 'theory' or a finite number/],
  ])('refuses %j', (setting, message) => {
    for (const f of [collapseBudget, maxExpansion, collapsedExpansion]) {
      expect(() => f(setting)).toThrow(message);
      expect(() => f(setting)).toThrow(SslError);
    }
  });
});

describe('alphaOf and gammaOf', () => {
  it('are the published constants', () => {
    const simDino = { batchSize: 512, width: 256, codingRateEps: 0.05 };
    expect(alphaOf(simDino)).toBeAllclose(10, { rtol: 1e-12 });
    expect(gammaOf(simDino)).toBe(0.005859375);
    const simDinoV2 = { batchSize: 1024, width: 256, codingRateEps: 0.05 };
    expect(alphaOf(simDinoV2)).toBeAllclose(5, { rtol: 1e-12 });
    expect(gammaOf(simDinoV2)).toBe(0.0048828125);
  });

  it('give the theory values of the specification (section 3.9)', () => {
    expect(gammaOf({ batchSize: 512, width: 256, codingRateEps: 0.05 }, 'theory')).toBeCloseTo(0.01976, 5);
    expect(gammaOf({ batchSize: 1024, width: 256, codingRateEps: 0.05 }, 'theory')).toBeCloseTo(0.02795, 5);
    // n < d: eps sqrt(n / (d n)) = sqrt(eps / d)
    expect(gammaOf({ batchSize: 16, width: 256, codingRateEps: 0.04 }, 'theory')).toBeAllclose(Math.sqrt(0.04 / 256));
  });

  it('take a number as it is', () => {
    expect(gammaOf({ batchSize: 4, width: 4 }, 0.25)).toBe(0.25);
  });
});
