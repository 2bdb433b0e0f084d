import { type FixtureCase, fixtureCases } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { emaUpdate, momentumSchedule } from '../../src/index.js';
import { below, tidied, toHost, toTensors } from '../tensors.js';

describe.each(fixtureCases('ssl/ema'))('$name', (fixture) => {
  const { momentum, steps } = fixture.json['hyper'];

  it('moves the teacher as the authors do', () => {
    tidied(() => {
      let teacher = toTensors(below(fixture, 'teacher0/'));
      for (let step = 0; step < steps; step++) {
        const student = toTensors(below(fixture, `step${step}/student/`));
        teacher = emaUpdate(teacher, student, tf.scalar(momentum[step]), tf.scalar(1 - momentum[step]));
        const expected = below(fixture, `step${step}/teacher/`);
        expect(Object.keys(teacher).sort()).toEqual(Object.keys(expected).sort());
        for (const [name, tensor] of Object.entries(expected)) {
          const maxRel = fixture.tolerance(`step${step}`);
          expect(toHost(teacher[name]), `${name} after step ${step}`).toBeAllclose(tensor, { maxRel });
        }
      }
    });
  });
});

interface MomentumCase {
  readonly name: string;
  readonly fixture: FixtureCase;
  readonly options: { start: number; end: number; totalSteps: number };
}

/** Plain cosine schedules between values that can be momenta. */
const momentumCases = fixtureCases('ssl/schedules').flatMap((fixture): MomentumCase[] =>
  Object.entries<Record<string, number>>(fixture.json['schedules']).flatMap(([name, entry]) => {
    const { base_value: start, final_value: end, epochs, niter_per_ep: epochSteps } = entry;
    if (!name.endsWith('/momentum') || epochs === undefined) return [];
    return [{ name, fixture, options: { start, end, totalSteps: epochs * epochSteps } }];
  }),
);

describe.each(momentumCases)('momentumSchedule: $name', ({ name, fixture, options }) => {
  it('is the authors schedule', () => {
    const schedule = momentumSchedule(options);
    const expected = fixture.tensor(name).data;
    expect(Array.from(expected, (_, step) => schedule(step).momentum)).toBeAllclose(expected, { rtol: 1e-12, atol: 0 });
  });
});

it('has a schedule to compare with', () => {
  expect(momentumCases.length).toBeGreaterThan(0);
});
