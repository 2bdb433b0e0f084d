import { SslError } from '@selfsup/core';
import { stopGradient } from '@selfsup/ops';
import type { Tensors } from './ema.js';

/**
 * Where the targets come from.
 * - `ema`: a teacher of its own, the moving average of the student ({@link emaUpdate}). What all published recipes do.
 * - `student-stopgrad`: the student itself, its targets taken as constants. No teacher parameters are kept.
 * - `none`: the student itself, with gradient through the targets as well. Only for losses that let it pass (SimDINO's
 *   terms do; the cross entropies of this package never do).
 */
export type TeacherPolicy = 'ema' | 'student-stopgrad' | 'none';

/** The parameters a policy may choose from. */
export interface StudentAndTeacher {
  readonly student: Tensors;
  /** Needed by `ema` alone. */
  readonly teacher?: Tensors;
}

/**
 * The parameters to compute the targets with.
 *
 * @throws SslError `BAD_OPTION` if the policy is `ema` and there is no teacher
 *
 * @example
 * const targets = head.apply(teacherParameters('ema', { student, teacher }), features);
 */
export function teacherParameters(policy: TeacherPolicy, { student, teacher }: StudentAndTeacher): Tensors {
  switch (policy) {
    case 'none':
      return student;
    case 'student-stopgrad':
      return Object.fromEntries(Object.entries(student).map(([name, value]) => [name, stopGradient(value)]));
    case 'ema':
      if (teacher !== undefined) return teacher;
      throw new SslError('BAD_OPTION', {
        where: 'ema-distill.teacherParameters',
        expected: 'teacher parameters for the policy "ema"',
        got: 'none',
        fix: 'pass the teacher, or choose "student-stopgrad"',
      });
  }
}
