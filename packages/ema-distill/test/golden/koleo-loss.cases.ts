import type { FixtureCase } from '@selfsup/test-kit';
import { expect } from 'vitest';
import { type GoldenFunction, gradientsOf } from '@selfsup/test-kit/golden-case';
import { koleoLoss } from '../../src/index.js';

/** Names of the inputs of a `ssl/loss-koleo` fixture with the given numbers of rows. */
export function koleoInputs(fixture: FixtureCase, accept: (rows: number) => boolean): string[] {
  const names = Object.keys(fixture.json['scalars']).map((name) => name.replace(/\/loss$/, ''));
  return names.filter((name) => accept(fixture.tensor(`${name}/input`).shape[0]));
}

/** Loss and gradient of a `ssl/loss-koleo` fixture, wherever there are neighbours. */
export function koleoLossCases(fixture: FixtureCase): GoldenFunction[] {
  const { eps: epsilon } = fixture.json['hyper'];
  return koleoInputs(fixture, (rows) => rows >= 2).map((name) => ({
    name,
    inputs: { input: fixture.tensor(`${name}/input`) },
    compute: ({ input }) => {
      const { outputs, gradients } = gradientsOf({ input }, () => ({ value: koleoLoss(input, { epsilon }) }));
      return { loss: outputs.value, grad: gradients['input'] };
    },
    check: ({ loss, grad }) => {
      const twins = name === 'duplicate';
      // The distance of identical rows is made of rounding, see the fixture's notes: engines differ in it by 2 % of the loss.
      const rtol = twins ? 3e-2 : fixture.tolerance('scalar');
      expect(loss.data[0]).toBeAllclose(fixture.scalar(`${name}/loss`), { rtol, atol: 0 });
      if (twins) {
        expect(grad.data.every(Number.isFinite)).toBe(true);
      } else {
        expect(grad).toBeAllclose(fixture.tensor(`${name}/grad`), { maxRel: fixture.tolerance(name) });
      }
    },
  }));
}
