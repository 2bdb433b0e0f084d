import { fixtureCases } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, it } from 'vitest';
import { checkEagerly } from '@selfsup/test-kit/golden-case';
import { cosinePatchCases } from './loss-cosine-patch.cases.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe.each(fixtureCases('ssl/loss-cosine-patch'))('$name', (fixture) => {
  it.each(cosinePatchCases(fixture))('$name', checkEagerly);
});
