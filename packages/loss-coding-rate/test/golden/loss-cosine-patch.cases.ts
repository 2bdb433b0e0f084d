import type { FixtureCase } from '@selfsup/test-kit';
import type * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { type GoldenFunction, gradientsOf, type HostNumbers } from '@selfsup/test-kit/golden-case';
import { patchCosineLoss } from '../../src/index.js';
import { host } from '../support.js';

/** Value and gradient of a `ssl/loss-cosine-patch` fixture, with and without rows of weight 0 at the end. */
export function cosinePatchCases(fixture: FixtureCase): GoldenFunction[] {
  const { crops } = fixture.json['hyper'] as { crops: number };
  const places = fixture.tensor('mask_indices').data;
  const weights = Array.from(fixture.tensor('masks_weight').data, Number);

  /** Rows at the masked places, filled up to a fixed number. */
  const rowsOf = (name: string, extra: number): HostNumbers => {
    const { shape, data } = fixture.tensor(name);
    const [crops, patches, width] = shape;
    // What fills up is any row there is; its weight is 0.
    const rows = Array.from({ length: places.length + extra }, (_, i) =>
      i < places.length ? Number(places[i]) : i % (crops * patches),
    );
    return host(
      [rows.length, width],
      rows.flatMap((row) => Array.from({ length: width }, (_, k) => Number(data[row * width + k]))),
    );
  };

  return [0, 3].map((extra) => ({
    name: `value and gradient, with ${extra} rows to fill up`,
    inputs: {
      student: rowsOf('student_dense', extra),
      teacher: rowsOf('teacher_dense', extra),
      weights: host([weights.length + extra], [...weights, ...new Array<number>(extra).fill(0)]),
    },
    compute: ({ student, teacher, weights }) => {
      const { outputs, gradients } = gradientsOf({ student }, () => ({
        value: patchCosineLoss({
          student: student as tf.Tensor2D,
          teacher: teacher as tf.Tensor2D,
          weights: weights as tf.Tensor1D,
          crops,
        }),
      }));
      return { loss: outputs.value, grad: gradients['student'] };
    },
    check: ({ loss, grad }) => {
      const maxRel = fixture.tolerance('scalar');
      expect(loss.data[0]).toBeAllclose(fixture.scalar('loss'), { maxRel });
      expect(loss.data[0]).toBeAllclose(fixture.scalar('loss_dense'), { maxRel });
      const expected = fixture.tensor('grad_student_masked').data;
      const [masked, filler] = [grad.data.slice(0, expected.length), grad.data.slice(expected.length)];
      expect(masked).toBeAllclose(expected, { maxRel: fixture.tolerance('grad_student_masked') });
      expect(filler.every((g) => g === 0)).toBe(true);
    },
  }));
}
