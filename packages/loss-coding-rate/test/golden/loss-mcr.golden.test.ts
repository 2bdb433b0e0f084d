import { fixtureCases } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkEagerly } from '@selfsup/test-kit/golden-case';
import { collapsedExpansion, maxExpansion } from '../../src/index.js';
import { hasCases, mcrCases, mcrRuns, mcrVersionCases } from './loss-mcr.cases.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe.each(fixtureCases('ssl/loss-mcr', hasCases))('$name', (fixture) => {
  it.each(mcrCases(fixture))('$name', checkEagerly);

  const closed = mcrRuns(fixture).filter(
    ({ name, type }) => type === 0 && (name === 'orthonormal' || name === 'identical'),
  );
  it.each(closed)('closed form of $key', ({ name, eps, key }) => {
    const [, batchSize, width] = fixture.tensor(`${name}/student`).shape;
    const bound = name === 'orthonormal' ? maxExpansion : collapsedExpansion;
    expect(bound({ batchSize, width, codingRateEps: eps })).toBeAllclose(fixture.scalar(`${key}/expa`), {
      // Rows are unit to float32.
      maxRel: 1e-5,
    });
  });
});

describe.each(fixtureCases('ssl/loss-mcr', (json) => !hasCases(json)))('$name', (fixture) => {
  it.each(mcrVersionCases(fixture))('$name', checkEagerly);
});
