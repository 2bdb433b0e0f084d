import '@tensorflow/tfjs';
import { normalize } from '@selfsup/ops';
import { fixtureCases } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { alphaOf, codingRate, expansion, expansionGradient, featureStd, gammaOf } from '../../src/index.js';
import { gradient, type Host, lossOf, part, tensor, values } from '../support.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

interface Expected {
  readonly feature_std_mean: number;
  readonly [rate: `coding_rate_eps${string}`]: Record<
    'R_half_logdet_nats' | 'alpha' | 'gamma' | 'E_gamma_times_R',
    number
  >;
}

describe.each(fixtureCases('eval/feature-diagnostics'))('$name', (fixture) => {
  const expected = fixture.json['expected'] as Record<string, Expected>;
  const sets = Object.keys(expected).filter((name) =>
    Object.keys(expected[name]).some((key) => key.startsWith('coding_rate_eps')),
  );
  // In words: "1e-4 in float32 (few_rows, lowrank: 1e-3)".
  const words = String(fixture.json['tolerances']?.['all values']);
  const [, usual = '1e-4', names = 'few_rows, lowrank', wider = '1e-3'] =
    /([\d.e-]+) in float32(?: \(([^:]+): ([\d.e-]+)\))?/.exec(words) ?? [];
  const toleranceOf = (set: string): number => Number(names.split(', ').includes(set) ? wider : usual);
  const runs = sets.flatMap((set) =>
    Object.keys(expected[set]).flatMap((key) => {
      const found = /^coding_rate_eps([\d.]+)$/.exec(key);
      return found === null ? [] : [{ set, eps: Number(found[1]), text: found[1] }];
    }),
  );
  expect(runs.length).toBeGreaterThan(0);

  it.each(runs)('coding rate of $set at eps $text, value and gradient', ({ set, eps, text }) => {
    const want = expected[set][`coding_rate_eps${text}`];
    const maxRel = toleranceOf(set);
    tf.tidy(() => {
      const unit = normalize(tensor(fixture.tensor(set) as Host));
      const [batchSize, width] = unit.shape;
      const strength = { batchSize, width, codingRateEps: eps };
      expect(alphaOf(strength)).toBeAllclose(want.alpha, { maxRel: 1e-12 });
      expect(gammaOf(strength)).toBeAllclose(want.gamma, { maxRel: 1e-12 });
      expect(values(codingRate(unit, { alpha: want.alpha }))[0]).toBeAllclose(want.R_half_logdet_nats, { maxRel });
      const options = { codingRateEps: eps };
      // float32 keeps of the gradient what the condition of I + alpha * covariance, up to 1 + width / eps, leaves of it.
      const ofGradient = { maxRel: Math.max(maxRel, 4 * (1 + width / eps) * 2 ** -24) };
      const one = tf.reshape(unit, [1, batchSize, width]);
      expect(values(expansion(one, options))[0]).toBeAllclose(want.E_gamma_times_R, { maxRel });
      const reference = fixture.tensor(`${set}.dE_dU_eps${text}`).data as Float64Array;
      expect(values(expansionGradient(one, options))).toBeAllclose(reference, ofGradient);
      expect(values(tf.grad((x) => expansion(x, options))(one))).toBeAllclose(reference, ofGradient);
    });
  });

  it.each(sets)('feature std of %s', (set) => {
    tf.tidy(() => {
      const unit = normalize(tensor(fixture.tensor(set) as Host));
      const want = expected[set].feature_std_mean;
      expect(values(featureStd(unit))[0]).toBeAllclose(want, { maxRel: toleranceOf(set), atol: 1e-7 });
    });
  });

  const losses = fixture.json['expected']['simdino_loss'] as Record<string, Record<'loss' | 'A' | 'E', number>>;
  it.each(Object.keys(losses))('SimDINO loss, %s', (key) => {
    const [, type, eps] = /^expa(\d)_eps([\d.]+)$/.exec(key) ?? [];
    const { ncrops, batch, d } = fixture.json['parameters'] as Record<string, number>;
    const student: Host = { shape: [ncrops, batch, d], data: fixture.tensor('loss.student').data as Float64Array };
    const teacher: Host = { shape: [2, batch, d], data: fixture.tensor('loss.teacher').data as Float64Array };
    const options = {
      codingRateEps: Number(eps),
      expansionFeatures: type === '0' ? ('student' as const) : ('mean-with-teacher' as const),
    };
    const parts = lossOf(student, teacher, options);
    expect(parts.loss).toBeAllclose(losses[key].loss, { maxRel: 1e-4 });
    expect(parts.compression).toBeAllclose(losses[key].A, { maxRel: 1e-4 });
    expect(parts.expansion).toBeAllclose(losses[key].E, { maxRel: 1e-4 });
    expect(gradient(part('loss', options), student, teacher)).toBeAllclose(
      fixture.tensor(`loss.grad_${key}`).data as Float64Array,
      { maxRel: 1e-4 },
    );
  });
});
