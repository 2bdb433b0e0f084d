import '@tensorflow/tfjs';
import { fixtureCases } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { SimDinoOptions } from '../../src/index.js';
import { gradient, images, joinImages, lossOf, part } from '../support.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const cases = fixtureCases('ssl/loss-world2', (json) => 'reduce_cov' in json['hyper']);

describe.each(cases)('$name: several processes are groups of one batch', (fixture) => {
  const { hyper, scalars } = fixture.json as { hyper: Record<string, number>; scalars: Record<string, unknown> };
  const ranks = Array.from({ length: hyper['world_size'] }, (_, r) => r);
  const students = ranks.map((r) => fixture.tensor(`r${r}/student`));
  const teachers = ranks.map((r) => fixture.tensor(`r${r}/teacher`));
  const runs = Object.keys(scalars).flatMap((key) => {
    const found = /^(v([12])\/rc(\d)\/t(\d)\/e([\d.]+))\/r0\/loss$/.exec(key);
    if (found === null) return [];
    const options: SimDinoOptions = {
      similarity: found[2] === '1' ? 'cosine' : 'dot',
      covariance: found[3] === '1' ? 'all-groups' : 'per-group',
      expansionFeatures: found[4] === '1' ? 'mean-with-teacher' : 'student',
      codingRateEps: Number(found[5]),
      compressionWeight: hyper['coeff'],
    };
    return [{ at: found[1], options }];
  });
  expect(runs.length).toBeGreaterThan(0);
  const mean = (at: string, what: string): number =>
    ranks.reduce((sum, r) => sum + fixture.scalar(`${at}/r${r}/${what}`), 0) / ranks.length;

  it.each(runs)('$at', ({ at, options }) => {
    const maxRel = fixture.tolerance('scalar');
    const student = joinImages(students);
    const teacher = joinImages(teachers);
    const joint = { ...options, groups: ranks.length };
    const parts = lossOf(student, teacher, joint);
    expect(parts.loss).toBeAllclose(mean(at, 'loss'), { maxRel, atol: 1e-6 });
    expect(parts.compression).toBeAllclose(mean(at, 'comp'), { maxRel, atol: 1e-6 });
    expect(parts.expansion).toBeAllclose(mean(at, 'expa'), { maxRel, atol: 1e-6 });

    // The joint loss is the mean over ranks, so a rank's own gradient is N times its rows of the joint one.
    const whole = gradient(part('loss', joint), student, teacher);
    let from = 0;
    ranks.forEach((r) => {
      const to = from + students[r].shape[1];
      const rows = images({ shape: student.shape, data: whole.map((g) => g * ranks.length) }, from, to);
      from = to;
      expect(rows.data, `rank ${r}`).toBeAllclose(fixture.tensor(`${at}/r${r}/grad`).data as Float64Array, {
        maxRel: fixture.tolerance(at.slice(0, 2)),
      });
    });
  });

  it.each(runs.filter(({ options }) => options.covariance === 'per-group'))(
    '$at, each rank on its own',
    ({ at, options }) => {
      ranks.forEach((r) => {
        const referenceBatch = students[r].shape[1] * ranks.length;
        const own = { ...options, referenceBatch };
        const parts = lossOf(students[r], teachers[r], own);
        const tolerance = { maxRel: fixture.tolerance('scalar'), atol: 1e-6 };
        expect(parts.loss).toBeAllclose(fixture.scalar(`${at}/r${r}/loss`), tolerance);
        expect(parts.compression).toBeAllclose(fixture.scalar(`${at}/r${r}/comp`), tolerance);
        expect(parts.expansion).toBeAllclose(fixture.scalar(`${at}/r${r}/expa`), tolerance);
        expect(gradient(part('loss', own), students[r], teachers[r])).toBeAllclose(
          fixture.tensor(`${at}/r${r}/grad`).data as Float64Array,
          { maxRel: fixture.tolerance(at.slice(0, 2)) },
        );
      });
    },
  );
});
