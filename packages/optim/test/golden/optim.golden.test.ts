import { fixtureCases } from '@selfsup/test-kit';
import { describe, expect, it } from 'vitest';
import { below, checkEagerly } from '@selfsup/test-kit/golden-case';
import type { ParameterGroups, ParameterTreatment } from '../../src/index.js';
import { familyOf, isV2, optimCases } from './optim.cases.js';

function treatmentOf(groups: ParameterGroups, name: string): ParameterTreatment {
  return groups.groups[groups.groupOf[name]];
}

describe.each(fixtureCases('ssl/optim'))('$name', (fixture) => {
  const { groups } = familyOf(fixture);

  it('sorts the parameters into the same groups', () => {
    const { param_groups: v2Groups, regularized, not_regularized, frozen } = fixture.json;
    const names = Object.keys(below(fixture, 'init/'));
    if (isV2(fixture)) {
      expect(Object.keys(groups.groupOf).sort()).toEqual(Object.keys(v2Groups).sort());
      for (const [name, expected] of Object.entries<Record<string, number | boolean>>(v2Groups)) {
        const { learningRateMultiplier, weightDecayMultiplier, clock } = treatmentOf(groups, name);
        expect(learningRateMultiplier, name).toBeCloseTo(expected['lr_multiplier'] as number, 14);
        expect(weightDecayMultiplier, name).toBe(expected['wd_multiplier']);
        expect(clock, name).toBe(expected['is_last_layer'] ? 'lastLayer' : 'main');
      }
    } else {
      const decayed = names
        .filter((name) => !frozen.includes(name))
        .filter((name) => treatmentOf(groups, name).weightDecayMultiplier === 1);
      expect(decayed.sort()).toEqual([...regularized].sort());
      expect(Object.keys(groups.groupOf).sort()).toEqual([...regularized, ...not_regularized].sort());
      expect(groups.frozen).toEqual(frozen);
    }
  });

  it.each(optimCases(fixture))('gives the same $name', checkEagerly);
});
