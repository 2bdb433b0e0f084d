import { Rng } from '@selfsup/core';
import { propertyOptions } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { emaUpdate, momentumSchedule, teacherParameters } from '../../src/index.js';
import { normal, tidied, toHost, toTensors } from '../tensors.js';

const seeds = fc.integer({ min: 0, max: 2 ** 31 });

function parameters(seed: number, purpose: string): Record<string, ReturnType<typeof normal>> {
  const rng = Rng.of(seed, purpose);
  return { 'fc.weight': normal(rng, [2, 3]), 'fc.bias': normal(rng, [2]), cls_token: normal(rng, [1, 1, 4]) };
}

type Named = ReturnType<typeof parameters>;

function updated(teacher: Named, student: Named, momentum: number): Named {
  return tidied(() => {
    const next = emaUpdate(toTensors(teacher), toTensors(student), tf.scalar(momentum), tf.scalar(1 - momentum));
    return Object.fromEntries(Object.entries(next).map(([name, tensor]) => [name, toHost(tensor)]));
  });
}

it('momentum 1 keeps the teacher, 0 copies the student, exactly', () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const teacher = parameters(seed, 'teacher');
      const student = parameters(seed, 'student');
      expect(updated(teacher, student, 1)).toEqual(teacher);
      expect(updated(teacher, student, 0)).toEqual(student);
    }),
    propertyOptions(),
  );
});

it('stays between teacher and student', () => {
  fc.assert(
    fc.property(seeds, fc.double({ min: 0, max: 1, noNaN: true }), (seed, momentum) => {
      const teacher = parameters(seed, 'teacher');
      const student = parameters(seed, 'student');
      for (const [name, { data }] of Object.entries(updated(teacher, student, momentum))) {
        data.forEach((x, i) => {
          const ends = [teacher[name].data[i], student[name].data[i]].sort((a, b) => a - b);
          expect(x).toBeGreaterThanOrEqual(ends[0] - 1e-6);
          expect(x).toBeLessThanOrEqual(ends[1] + 1e-6);
        });
      }
    }),
    propertyOptions(),
  );
});

it('does not depend on the order of names', () => {
  fc.assert(
    fc.property(seeds, fc.double({ min: 0, max: 1, noNaN: true }), (seed, momentum) => {
      const teacher = parameters(seed, 'teacher');
      const student = parameters(seed, 'student');
      const turned = Object.fromEntries(Object.entries(student).reverse());
      expect(updated(teacher, turned, momentum)).toEqual(updated(teacher, student, momentum));
    }),
    propertyOptions(),
  );
});

it('lets no gradient through a stopped student, and all of it without a policy', () => {
  const slope = (policy: 'student-stopgrad' | 'none'): number =>
    tidied(() => {
      const loss = (x: tf.Tensor): tf.Tensor => tf.mul(x, teacherParameters(policy, { student: { x } })['x']);
      return tf
        .grad((x: tf.Tensor) => tf.sum(loss(x)))(tf.scalar(3))
        .dataSync()[0];
    });
  expect(slope('student-stopgrad')).toBe(3);
  expect(slope('none')).toBe(6);
});

it('the momentum rises from start to end and its complement keeps its digits', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.integer({ min: 1, max: 500 }),
      fc.integer({ min: 0, max: 600 }),
      (start, totalSteps, step) => {
        const schedule = momentumSchedule({ start, totalSteps });
        const { momentum, oneMinusMomentum } = schedule(step);
        expect(momentum).toBeGreaterThanOrEqual(start - 1e-12);
        expect(momentum).toBeLessThanOrEqual(1);
        expect(momentum + oneMinusMomentum).toBe(1);
        expect(schedule(step + 1).momentum).toBeGreaterThanOrEqual(momentum - 1e-12);
        if (step >= totalSteps) expect(momentum).toBe(1);
      },
    ),
    propertyOptions(),
  );
});
