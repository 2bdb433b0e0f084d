import { dropPathRates, subsetSize, vit } from '@selfsup/backbone-vit';
import { fixtureCases } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkEagerly } from '@selfsup/test-kit/golden-case';
import { configOf, expectParametersOf } from '../support.js';
import { type Drop, dropPathV1Cases, dropPathV2Cases } from './drop-path.cases.js';

beforeAll(() => tf.setBackend('cpu'));

describe.each(fixtureCases('ssl/vit-droppath-v1'))('$name', (fixture) => {
  it('has the rates of the original', () => {
    expect(dropPathRates(configOf(fixture.json, 'dino'))).toBeAllclose(
      (fixture.json.hyper.drop as Drop[]).map(({ rate }) => rate),
      { rtol: 1e-12, atol: 0 },
    );
  });

  it.each(dropPathV1Cases(fixture))('gives outputs and gradients: $name', checkEagerly);
});

describe.each(fixtureCases('ssl/vit-droppath-v2'))('$name', (fixture) => {
  const config = configOf(fixture.json, 'dinov2');

  it('has the parameters of the original', () => expectParametersOf(fixture, vit(config).parameterSpecs()));

  it('has the rates, subset sizes and factors of the original', () => {
    const drops = fixture.json.hyper.drop as Drop[];
    const rates = dropPathRates(config);
    expect(rates.filter((rate) => rate > 0).length).toBe(drops.length);
    for (const drop of drops) {
      expect(rates[drop.block]).toBeAllclose(drop.rate, { rtol: 1e-6, atol: 0 });
      for (const { b, k, scale } of [drop.global, drop.local].filter((group) => group !== undefined)) {
        expect(subsetSize(b, rates[drop.block])).toBe(k);
        expect(b / k).toBe(scale);
      }
    }
  });

  it.each(dropPathV2Cases(fixture))('gives outputs and gradients: $name', checkEagerly);
});
