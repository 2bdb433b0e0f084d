import '@tensorflow/tfjs';
import { fixtureCases } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { patchCosineLoss } from '../../src/index.js';
import { gradient, host, type Host, run } from '../support.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

function loss(weights: Host, crops: number) {
  return (student: tf.Tensor, teacher: tf.Tensor): tf.Scalar =>
    patchCosineLoss({
      student: student as tf.Tensor2D,
      teacher: teacher as tf.Tensor2D,
      weights: tf.tensor1d(Float32Array.from(weights.data)),
      crops,
    });
}

describe.each(fixtureCases('ssl/loss-cosine-patch'))('$name', (fixture) => {
  const { crops } = fixture.json['hyper'] as { crops: number };
  const places = fixture.tensor('mask_indices').data;
  const weights = fixture.tensor('masks_weight');

  /** Rows at the masked places, filled up with rows of weight 0 to a fixed number. */
  const rowsOf = (name: string, extra: number): Host => {
    const { shape, data } = fixture.tensor(name);
    const width = shape[2];
    const rows = Array.from({ length: places.length + extra }, (_, i) => (i < places.length ? Number(places[i]) : i));
    return host(
      [rows.length, width],
      rows.flatMap((row) => Array.from({ length: width }, (_, k) => Number(data[row * width + k]))),
    );
  };

  it.each([0, 3])('value and gradient, with %i rows to fill up', (extra) => {
    const student = rowsOf('student_dense', extra);
    const teacher = rowsOf('teacher_dense', extra);
    const padded = host(
      [weights.data.length + extra],
      [...Array.from(weights.data, Number), ...new Array<number>(extra).fill(0)],
    );
    const f = loss(padded, crops);
    const value = run(f, student, teacher)[0];
    expect(value).toBeAllclose(fixture.scalar('loss'), { maxRel: fixture.tolerance('scalar') });
    expect(value).toBeAllclose(fixture.scalar('loss_dense'), { maxRel: fixture.tolerance('scalar') });
    const got = gradient(f, student, teacher);
    const expected = fixture.tensor('grad_student_masked').data as Float64Array;
    expect(got.subarray(0, expected.length)).toBeAllclose(expected, {
      maxRel: fixture.tolerance('grad_student_masked'),
    });
    expect(got.subarray(expected.length).every((g) => g === 0)).toBe(true);
  });
});
