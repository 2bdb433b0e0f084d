import { checkShape, SslError } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { checkScalar, type ScalarLike } from './scalars.js';

/** Tensors by parameter name. */
export type Tensors = Readonly<Record<string, tf.Tensor>>;

/**
 * The teacher after a step: momentum * teacher + oneMinusMomentum * student for every parameter of backbone and heads,
 * frozen ones too (exponential moving average; DINO, Caron et al. 2021, section 3.1). Runs after the optimiser.
 *
 * @param teacher - float32, any shapes.
 * @param student - The same names and shapes.
 * @param momentum - Scalar in [0, 1]; 1 keeps the teacher, 0 copies the student, both exactly.
 * @param oneMinusMomentum - 1 - momentum, computed in float64 (see {@link momentumSchedule}): near 1 float32 would lose
 * its digits.
 * @returns new tensors by the same names, owned by the caller
 * @throws SslError `SHAPE_MISMATCH` for names or shapes that differ
 *
 * @example
 * const next = emaUpdate(teacher, student, batch.momentum, batch.oneMinusMomentum);
 */
export function emaUpdate(
  teacher: Tensors,
  student: Tensors,
  momentum: ScalarLike,
  oneMinusMomentum: ScalarLike,
): Record<string, tf.Tensor> {
  const where = 'ema-distill.emaUpdate';
  checkScalar(where, 'momentum', momentum);
  checkScalar(where, 'oneMinusMomentum', oneMinusMomentum);
  checkSameParameters(where, teacher, student);
  return tf.tidy(() =>
    Object.fromEntries(
      Object.entries(teacher).map(([name, value]) => [
        name,
        tf.tidy(() => tf.add(tf.mul(value, momentum), tf.mul(student[name], oneMinusMomentum))),
      ]),
    ),
  );
}

/** Momentum of a step, and what it leaves to the student. */
export interface Momentum {
  readonly momentum: number;
  readonly oneMinusMomentum: number;
}

/** Options of {@link momentumSchedule}. */
export interface MomentumScheduleOptions {
  /** Momentum of step 0, e.g. 0.996. */
  readonly start: number;
  /** Momentum from `totalSteps` on; 1 by default. */
  readonly end?: number;
  readonly totalSteps: number;
}

/**
 * The teacher's momentum over a run, end + 1/2 (start - end) (1 + cos(pi step / totalSteps)), in float64 on the host.
 *
 * @throws SslError `BAD_OPTION` for a momentum outside [0, 1] or a run without steps
 *
 * @example
 * const { momentum, oneMinusMomentum } = momentumSchedule({ start: 0.996, totalSteps: 1000 })(step);
 */
export function momentumSchedule({ start, end = 1, totalSteps }: MomentumScheduleOptions): (step: number) => Momentum {
  const valid = [start, end].every((m) => m >= 0 && m <= 1) && Number.isInteger(totalSteps) && totalSteps > 0;
  if (!valid) {
    throw new SslError('BAD_OPTION', {
      where: 'ema-distill.momentumSchedule',
      expected: 'start and end in [0, 1] and totalSteps as a positive integer',
      got: `start ${start}, end ${end}, totalSteps ${totalSteps}`,
      fix: 'pass a momentum such as 0.996',
      details: { start, end, totalSteps },
    });
  }
  return (step) => {
    const progress = Math.min(step / totalSteps, 1);
    const momentum = end + 0.5 * (start - end) * (1 + Math.cos(Math.PI * progress));
    return { momentum, oneMinusMomentum: 1 - momentum };
  };
}

function checkSameParameters(where: string, teacher: Tensors, student: Tensors): void {
  const missing = Object.keys(teacher).filter((name) => !Object.hasOwn(student, name));
  const unexpected = Object.keys(student).filter((name) => !Object.hasOwn(teacher, name));
  if (missing.length + unexpected.length > 0) {
    throw new SslError('SHAPE_MISMATCH', {
      where,
      expected: 'a student with the parameters of the teacher',
      got: `${missing.length} missing and ${unexpected.length} unexpected (${[...missing, ...unexpected].slice(0, 6).join(', ')})`,
      fix: 'start the teacher as a copy of the student, all parameters of backbone and heads',
      details: { missing, unexpected },
    });
  }
  for (const [name, { shape }] of Object.entries(teacher)) checkShape(where, `student ${name}`, student[name], shape);
}
