import { type FixtureCase, fixtureCases } from '@selfsup/test-kit';
import { describe, expect, it } from 'vitest';
import { checkEagerly } from '@selfsup/test-kit/golden-case';
import { momentumSchedule } from '../../src/index.js';
import { emaCases } from './ema.cases.js';

describe.each(fixtureCases('ssl/ema'))('$name', (fixture) => {
  it.each(emaCases(fixture))('gives the same: $name', checkEagerly);
});

interface MomentumCase {
  readonly name: string;
  readonly fixture: FixtureCase;
  readonly options: { start: number; end: number; totalSteps: number };
}

/** Plain cosine schedules between values that can be momenta, whatever they are called. */
const momentumCases = fixtureCases('ssl/schedules').flatMap((fixture): MomentumCase[] =>
  Object.entries<Record<string, number>>(fixture.json['schedules']).flatMap(([name, entry]) => {
    const { base_value: start, final_value: end, epochs, niter_per_ep: epochSteps } = entry;
    const plain = epochs !== undefined && (entry['warmup_epochs'] ?? 0) === 0;
    if (!plain || start < 0 || start > end || end > 1) return [];
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
