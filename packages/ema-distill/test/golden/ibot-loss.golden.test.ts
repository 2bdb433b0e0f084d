import { fixtureCases } from '@selfsup/test-kit';
import { describe, expect, it } from 'vitest';
import { checkEagerly } from '@selfsup/test-kit/golden-case';
import { ibotLossCases, maskedRows } from './ibot-loss.cases.js';

describe.each(fixtureCases('ssl/loss-ibot'))('$name', (fixture) => {
  it.each((fixture.json['hyper'].temps as number[]).map((_, call) => call))(
    'gives the same rows in call %i',
    (call) => {
      const { indices, weights, count } = maskedRows(fixture, call);
      const expected = fixture.tensor(`call${call}/mask_indices`).data;
      expect(indices.data.subarray(0, count)).toEqual(Int32Array.from(expected));
      const expectedWeights = fixture.tensor(`call${call}/masks_weight`).data;
      expect(weights.data.subarray(0, count)).toBeAllclose(expectedWeights, { rtol: 1e-6, atol: 0 });
    },
  );

  it.each(ibotLossCases(fixture))('gives the same $name', checkEagerly);
});
