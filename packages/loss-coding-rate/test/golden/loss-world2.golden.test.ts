import { fixtureCases } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, it } from 'vitest';
import { checkEagerly } from '@selfsup/test-kit/golden-case';
import { mcrWorldCases } from './loss-world2.cases.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const fixtures = fixtureCases('ssl/loss-world2', (json) => 'reduce_cov' in json['hyper']);

describe.each(fixtures)('$name: several processes are groups of one batch', (fixture) => {
  it.each(mcrWorldCases(fixture))('$name', checkEagerly);
});
