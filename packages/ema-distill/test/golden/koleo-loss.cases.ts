import type { FixtureCase } from '@selfsup/test-kit';
import { expect } from 'vitest';
import { type GoldenFunction, gradientsOf, type HostNumbers } from '@selfsup/test-kit/golden-case';
import { koleoLoss } from '../../src/index.js';

/** Names of the inputs of a `ssl/loss-koleo` fixture with the given numbers of rows. */
export function koleoInputs(fixture: FixtureCase, accept: (rows: number) => boolean): string[] {
  const names = Object.keys(fixture.json['scalars']).map((name) => name.replace(/\/loss$/, ''));
  return names.filter((name) => accept(fixture.tensor(`${name}/input`).shape[0]));
}

/** Whether two rows have the same direction, to the rounding of float32: their distance is made of rounding. */
function hasTwins({ shape: [rows, width], data }: HostNumbers): boolean {
  const row = (i: number): number[] => Array.from({ length: width }, (_, k) => data[i * width + k]);
  const unit = Array.from({ length: rows }, (_, i) => {
    const length = Math.hypot(...row(i));
    return row(i).map((x) => x / length);
  });
  return unit.some((a, i) => unit.slice(0, i).some((b) => Math.hypot(...a.map((x, k) => x - b[k])) < 1e-6));
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
      const twins = hasTwins(fixture.tensor(`${name}/input`));
      // See the fixture's notes; engines differ by 2 % of the loss.
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
