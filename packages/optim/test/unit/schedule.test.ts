import '@selfsup/test-kit';
import { SslError } from '@selfsup/core';
import { describe, expect, it } from 'vitest';
import { cosineSchedule, dinoSchedules, linearSchedule, perEpoch, simdinov2Schedules } from '../../src/index.js';

const options = { base: 1, final: 0.1, totalSteps: 10 };

describe('schedules', () => {
  it('stay at the final value after the end', () => {
    expect(cosineSchedule(options)(10)).toBe(0.1);
    expect(linearSchedule(options)(1e6)).toBe(0.1);
  });

  it('may end within the warm-up, as short runs of a long preset do', () => {
    const schedule = cosineSchedule({ ...options, warmupSteps: 20, ramp: 'exclusive' });
    expect(schedule(9)).toBeCloseTo(0.45, 12);
  });

  it('keep a ramp of one step at its start', () => {
    expect(cosineSchedule({ ...options, warmupSteps: 1, warmupStart: 0.25 })(0)).toBe(0.25);
  });

  it.each([
    { ...options, totalSteps: -1 },
    { ...options, warmupSteps: 1.5 },
    { ...options, base: NaN },
  ])('refuse %o', (wrong) => {
    expect(() => cosineSchedule(wrong)).toThrow(SslError);
    expect(() => linearSchedule(wrong)).toThrow(/Fix: /);
  });

  it('perEpoch refuses an epoch without steps', () => {
    expect(() => perEpoch(() => 1, 0)).toThrow(/stepsPerEpoch/);
  });
});

const shared = {
  totalSteps: 40,
  stepsPerEpoch: 10,
  warmupSteps: 10,
  learningRate: 1e-3,
  finalLearningRate: 1e-6,
  weightDecay: { start: 0.04, end: 0.4 },
  teacherMomentum: { start: 0.996, end: 1 },
};

describe('dinoSchedules', () => {
  it('moves the temperature per epoch and everything else per step', () => {
    const schedules = dinoSchedules({ ...shared, teacherTemperature: { start: 0.04, end: 0.07, warmupEpochs: 2 } });
    expect([0, 9, 10, 39].map(schedules.teacherTemperature)).toBeAllclose([0.04, 0.04, 0.07, 0.07], { rtol: 1e-12 });
    expect(schedules.learningRate(9)).toBeCloseTo(1e-3, 15);
    expect(schedules.learningRate(40)).toBe(1e-6);
    expect(schedules.weightDecay(0)).toBeCloseTo(0.04, 15);
    expect(schedules.teacherMomentum(40)).toBe(1);
  });

  it('has no temperature for SimDINO', () => {
    expect(dinoSchedules(shared).teacherTemperature(3)).toBe(1);
  });
});

describe('simdinov2Schedules', () => {
  it('moves loss settings that have an end', () => {
    const schedules = simdinov2Schedules({
      ...shared,
      peakSteps: 5,
      teacherTemperature: { start: 0.04, end: 0.07, warmupSteps: 10 },
      freezeLastLayerSteps: 3,
      alignmentWeight: { start: 1 },
      codingRateEps: { start: 0.5, end: 0.05, totalSteps: 20 },
      patchLossWeight: { start: 1, freezeSteps: 2, warmupSteps: 2 },
      clipNorm: { start: 3, end: 1 },
    });
    expect(schedules.alignmentWeight(17)).toBe(1);
    expect(schedules.codingRateEps(0)).toBeCloseTo(0.5, 15);
    expect(schedules.codingRateEps(10)).toBeCloseTo(0.275, 15);
    expect(schedules.codingRateEps(20)).toBe(0.05);
    expect([0, 1, 2, 3, 4].map(schedules.patchLossWeight)).toEqual([0, 0, 0, 0.5, 1]);
    expect(schedules.clipNorm(40)).toBe(1);
    expect(schedules.learningRate(14)).toBe(1e-3);
    expect(schedules.learningRate(0)).toBe(1e-6);
    expect(schedules.lastLayerLearningRate(2)).toBe(0);
  });
});
