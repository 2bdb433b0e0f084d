import type { FixtureCase } from '@selfsup/test-kit';
import { expect } from 'vitest';
import { below, type GoldenSequence, prefixed, scalarNumber, under } from '@selfsup/test-kit/golden-case';
import { emaUpdate } from '../../src/index.js';

/** The teacher of a `ssl/ema` fixture over its steps. */
export function emaCases(fixture: FixtureCase): GoldenSequence[] {
  const momenta = fixture.json['hyper'].momentum as number[];
  return [
    {
      name: 'the teacher over the steps',
      state: below(fixture, 'teacher0/'),
      calls: momenta.map((momentum, step) => ({
        ...prefixed('student/', below(fixture, `step${step}/student/`)),
        momentum: scalarNumber(momentum),
        oneMinusMomentum: scalarNumber(1 - momentum),
      })),
      step: (teacher, inputs) => ({
        state: emaUpdate(teacher, under('student/', inputs), inputs['momentum'], inputs['oneMinusMomentum']),
        outputs: {},
      }),
      check: ({ state }, step) => {
        const expected = below(fixture, `step${step}/teacher/`);
        expect(Object.keys(state).sort()).toEqual(Object.keys(expected).sort());
        for (const [name, tensor] of Object.entries(expected)) {
          const maxRel = fixture.tolerance(`step${step}`);
          expect(state[name], `${name} after step ${step}`).toBeAllclose(tensor, { maxRel });
        }
      },
    },
  ];
}
