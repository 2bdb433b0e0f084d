import { SslError } from '@selfsup/core';
import { fixtureCases } from '@selfsup/test-kit';
import { describe, expect, it } from 'vitest';
import { checkEagerly } from '@selfsup/test-kit/golden-case';
import { koleoLoss } from '../../src/index.js';
import { tidied, toTensor } from '../tensors.js';
import { koleoInputs, koleoLossCases } from './koleo-loss.cases.js';

describe.each(fixtureCases('ssl/loss-koleo'))('$name', (fixture) => {
  it.each(koleoLossCases(fixture))('$name', checkEagerly);

  it.each(koleoInputs(fixture, (rows) => rows < 2))('%s', (name) => {
    // The authors' value for a single row is an accident; ours refuses it.
    tidied(() => {
      const input = toTensor(fixture.tensor(`${name}/input`));
      expect(() => koleoLoss(input)).toThrow(SslError);
    });
  });
});
