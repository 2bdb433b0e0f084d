import { fixtureCases, type FixtureCase, type FixtureTensor } from '@selfsup/test-kit';
import { describe, expect, it } from 'vitest';
import {
  alignment,
  codingRateOf,
  diagnoseFeatures,
  type Features,
  featureStd,
  linearCka,
  meanCosine,
  type Preparation,
  rankMeasures,
  singularValues,
  uniformity,
} from '../../src/index.js';

/** The fixture's rule: 1e-9 relative in float64, which is what we compute in. */
const FLOAT64 = 1e-9;

type Expected = Record<string, number | Record<string, number | string | number[]>>;

const featuresOf = (tensor: FixtureTensor): Features => ({ shape: tensor.shape, data: tensor.data as Float64Array });

function close(actual: number, expected: unknown): void {
  // A value that is zero up to rounding has no relative error.
  expect(actual).toBeAllclose(expected as number, { rtol: FLOAT64, atol: 1e-14 });
}

function checkSpectrum(features: Features, preparation: Preparation, expected: Record<string, unknown>): void {
  const values = singularValues(features, preparation);
  const measures = rankMeasures(values);
  const [largest] = expected['singular_values'] as number[];
  const noise = Number.EPSILON * Math.max(...features.shape) * singularValues(features)[0];
  if (typeof expected['effective_rank_exp_entropy_sigma'] === 'string' || largest <= noise) {
    // Collapsed features without their mean are rounding noise, in ours and in the original: no more than that, no NaN.
    expect(values[0]).toBeLessThanOrEqual(noise);
    for (const [name, value] of Object.entries(measures)) expect(Number.isFinite(value), name).toBe(true);
    return;
  }
  expect(values).toBeAllclose(expected['singular_values'] as number[], { maxRel: FLOAT64, atol: 1e-13 });
  close(measures.effectiveRank, expected['effective_rank_exp_entropy_sigma']);
  close(measures.effectiveRankOfSquares, expected['effective_rank_exp_entropy_sigma2']);
  close(measures.rankMe, expected['rankme_eps1e-7']);
  close(measures.stableRank, expected['stable_rank']);
  close(measures.participationRatio, expected['participation_ratio']);
}

function setsOf(fixture: FixtureCase): [string, Expected][] {
  const expected = fixture.json['expected'] as Record<string, Expected>;
  return Object.entries(expected).filter(([name]) => Object.hasOwn(fixture.tensors(), name));
}

describe.each(fixtureCases('eval/feature-diagnostics'))('$name', (fixture) => {
  const sets = setsOf(fixture);

  it('has features to measure', () => expect(sets.length).toBeGreaterThan(0));

  describe.each(sets)('%s', (name, expected) => {
    const features = featuresOf(fixture.tensor(name));

    it.each(['raw', 'centred', 'unit'] as const)('has the spectrum and ranks, %s', (preparation) => {
      checkSpectrum(features, preparation, expected[preparation] as Record<string, unknown>);
    });

    const rates = Object.keys(expected).filter((key) => key.startsWith('coding_rate_eps'));
    it.each(rates)('has %s', (key) => {
      const wanted = expected[key] as Record<string, number>;
      const { rate, alpha, gamma, expansion } = codingRateOf(features, Number(key.replace('coding_rate_eps', '')));
      close(rate, wanted['R_half_logdet_nats']);
      close(alpha, wanted['alpha']);
      close(gamma, wanted['gamma']);
      close(expansion, wanted['E_gamma_times_R']);
    });

    it('has alignment, uniformity, mean cosine and feature std', () => {
      const positives = featuresOf(fixture.tensor(`${name}.positive`));
      close(alignment(features, positives), expected['alignment_alpha2']);
      close(alignment(features, positives, 1), expected['alignment_alpha1']);
      close(uniformity(features), expected['uniformity_t2']);
      close(meanCosine(features), expected['mean_cosine_pairs']);
      close(featureStd(features), expected['feature_std_mean']);
    });

    it('is summed up without NaN', () => {
      const flat = (value: unknown): unknown[] =>
        typeof value === 'object' && value !== null ? Object.values(value).flatMap(flat) : [value];
      for (const value of flat(diagnoseFeatures(features))) expect(Number.isFinite(value)).toBe(true);
    });
  });

  const pairs = Object.entries(fixture.json['expected'].cka as Record<string, Record<string, number>>);
  it.each(pairs)('has the kernel alignment %s', (pair, expected) => {
    const [first, second] = pair.split('_vs_');
    const a = featuresOf(fixture.tensor(first));
    const b = featuresOf(fixture.tensor(`cka.${second}`));
    close(linearCka(a, b), expected['linear_cka_biased']);
    close(linearCka(b, a), expected['linear_cka_biased']);
    close(linearCka(a, b, 'unbiased'), expected['linear_cka_unbiased']);
  });
});
