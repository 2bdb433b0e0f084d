import type { FixtureCase } from '@selfsup/test-kit';
import type * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { type GoldenFunction, gradientsOf, type NamedNumbers, type NamedTensors } from '@selfsup/test-kit/golden-case';
import { simDinoLoss, type SimDinoOptions } from '../../src/index.js';
import { images, joinImages } from '../support.js';

const PARTS = ['loss', 'comp', 'expa'] as const;

function lossAndGradient({ student, teacher }: NamedTensors, options: SimDinoOptions): NamedTensors {
  const { outputs, gradients } = gradientsOf({ student }, () => {
    const pair = { student: student as tf.Tensor3D, teacher: teacher as tf.Tensor3D };
    const { loss, compression, expansion } = simDinoLoss(pair, options);
    return { value: loss, comp: compression, expa: expansion };
  });
  return { loss: outputs.value, comp: outputs.comp, expa: outputs.expa, grad: gradients['student'] };
}

/** The coding-rate losses of a `ssl/loss-world2` fixture: its processes as groups of one batch, and each on its own. */
export function mcrWorldCases(fixture: FixtureCase): GoldenFunction[] {
  const { hyper, scalars } = fixture.json as { hyper: Record<string, number>; scalars: Record<string, unknown> };
  const ranks = Array.from({ length: hyper['world_size'] }, (_, r) => r);
  const inputsOf = (r: number): NamedNumbers => ({
    student: fixture.tensor(`r${r}/student`),
    teacher: fixture.tensor(`r${r}/teacher`),
  });
  const imagesOf = (r: number): number => fixture.tensor(`r${r}/student`).shape[1];
  const mean = (at: string, what: string): number =>
    ranks.reduce((sum, r) => sum + fixture.scalar(`${at}/r${r}/${what}`), 0) / ranks.length;
  const nearScalar = { maxRel: fixture.tolerance('scalar'), atol: 1e-6 };

  const together = (at: string, options: SimDinoOptions): GoldenFunction => ({
    name: at,
    inputs: {
      student: joinImages(ranks.map((r) => inputsOf(r)['student'])),
      teacher: joinImages(ranks.map((r) => inputsOf(r)['teacher'])),
    },
    compute: (inputs) => lossAndGradient(inputs, { ...options, groups: ranks.length }),
    check: (found) => {
      for (const part of PARTS) expect(found[part].data[0], part).toBeAllclose(mean(at, part), nearScalar);
      // The joint loss is the mean over ranks, so a rank's own gradient is N times its rows of the joint one.
      const { shape, data } = found['grad'];
      const own = { shape, data: Array.from(data, (g) => g * ranks.length) };
      let from = 0;
      for (const r of ranks) {
        const rows = images(own, from, from + imagesOf(r));
        from += imagesOf(r);
        const maxRel = fixture.tolerance(at.slice(0, 2));
        expect(rows, `rank ${r}`).toBeAllclose(fixture.tensor(`${at}/r${r}/grad`), { maxRel });
      }
    },
  });

  const alone = (at: string, options: SimDinoOptions, r: number): GoldenFunction => ({
    name: `${at}, rank ${r} on its own`,
    inputs: inputsOf(r),
    compute: (inputs) => lossAndGradient(inputs, { ...options, referenceBatch: imagesOf(r) * ranks.length }),
    check: (found) => {
      for (const part of PARTS) {
        expect(found[part].data[0], part).toBeAllclose(fixture.scalar(`${at}/r${r}/${part}`), nearScalar);
      }
      const maxRel = fixture.tolerance(at.slice(0, 2));
      expect(found['grad']).toBeAllclose(fixture.tensor(`${at}/r${r}/grad`), { maxRel });
    },
  });

  const cases = Object.keys(scalars).flatMap((key) => {
    const found = /^(v([12])\/rc(\d)\/t(\d)\/e([\d.]+))\/r0\/loss$/.exec(key);
    if (found === null) return [];
    const options: SimDinoOptions = {
      similarity: found[2] === '1' ? 'cosine' : 'dot',
      covariance: found[3] === '1' ? 'all-groups' : 'per-group',
      expansionFeatures: found[4] === '1' ? 'mean-with-teacher' : 'student',
      codingRateEps: Number(found[5]),
      compressionWeight: hyper['coeff'],
    };
    const perGroup = options.covariance === 'per-group';
    return [together(found[1], options), ...(perGroup ? ranks.map((r) => alone(found[1], options, r)) : [])];
  });
  expect(cases.length, fixture.name).toBeGreaterThan(0);
  return cases;
}
