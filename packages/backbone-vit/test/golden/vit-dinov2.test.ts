import { vit } from '@selfsup/backbone-vit';
import { fixtureCases } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, it } from 'vitest';
import { checkEagerly } from '@selfsup/test-kit/golden-case';
import { configOf, expectParametersOf } from '../support.js';
import { vitDinov2Cases } from './vit-dinov2.cases.js';

beforeAll(() => tf.setBackend('cpu'));

describe.each(fixtureCases('ssl/vit-dinov2'))('$name', (fixture) => {
  it('has the parameters of the original', () =>
    expectParametersOf(fixture, vit(configOf(fixture.json, 'dinov2')).parameterSpecs()));

  it.each(vitDinov2Cases(fixture))('gives outputs and gradients: $name', checkEagerly);
});
