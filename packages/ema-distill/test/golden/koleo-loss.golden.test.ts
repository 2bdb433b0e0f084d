import { SslError } from '@selfsup/core';
import { fixtureCases } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { koleoLoss } from '../../src/index.js';
import { tidied, toHost, toTensor } from '../tensors.js';

describe.each(fixtureCases('ssl/loss-koleo'))('$name', (fixture) => {
  const { eps: epsilon } = fixture.json['hyper'];
  const cases = Object.keys(fixture.json['scalars']).map((name) => name.replace(/\/loss$/, ''));

  it.each(cases)('%s', (name) => {
    tidied(() => {
      const input = toTensor(fixture.tensor(`${name}/input`));
      if (input.shape[0] < 2) {
        // The authors' value for a single row is an accident; ours refuses it.
        expect(() => koleoLoss(input, { epsilon })).toThrow(SslError);
        return;
      }
      const { value, grad } = tf.valueAndGrad((x: tf.Tensor) => koleoLoss(x, { epsilon }))(input);
      const twins = name === 'duplicate';
      // The distance of identical rows is made of rounding, see the fixture's notes.
      const rtol = twins ? 1e-2 : fixture.tolerance('scalar');
      expect(value.dataSync()[0]).toBeAllclose(fixture.scalar(`${name}/loss`), { rtol, atol: 0 });
      if (twins) {
        expect(grad.dataSync().every(Number.isFinite)).toBe(true);
      } else {
        expect(toHost(grad)).toBeAllclose(fixture.tensor(`${name}/grad`), { maxRel: fixture.tolerance(name) });
      }
    });
  });
});
