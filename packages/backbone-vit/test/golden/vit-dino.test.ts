import { vit } from '@selfsup/backbone-vit';
import { fixtureCases } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, it } from 'vitest';
import { checkEagerly } from '@selfsup/test-kit/golden-case';
import { configOf, expectParametersOf } from '../support.js';
import { vitDinoCases } from './vit-dino.cases.js';

beforeAll(() => tf.setBackend('cpu'));

describe.each(fixtureCases('ssl/vit-dino'))('$name', (fixture) => {
  it('has the parameters of the original', () =>
    expectParametersOf(fixture, vit(configOf(fixture.json, 'dino')).parameterSpecs()));

  it.each(vitDinoCases(fixture))('gives outputs and gradients: $name', checkEagerly);
});
