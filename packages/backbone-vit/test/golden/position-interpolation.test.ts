import { fixtureCases } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, it } from 'vitest';
import { checkEagerly } from '@selfsup/test-kit/golden-case';
import { positionInterpolationCases } from './position-interpolation.cases.js';

beforeAll(() => tf.setBackend('cpu'));

describe.each(fixtureCases('ssl/pos-embed-interp'))('$name', (fixture) => {
  it.each(positionInterpolationCases(fixture))('$name', checkEagerly);
});
