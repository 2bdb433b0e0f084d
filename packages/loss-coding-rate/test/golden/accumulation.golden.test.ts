import '@tensorflow/tfjs';
import { fixtureCases } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  expansionFeatures,
  expansionGradient,
  patchCosineLoss,
  type SimDinoOptions,
  simDinoLoss,
} from '../../src/index.js';
import { gradient, type Host, images, joinImages, lossOf, part, tensor, values } from '../support.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

type Hyper = Record<string, number> & {
  micro_batches: [number, number][];
  cfg?: { dino: { mcr: Record<string, number> } };
};

/** The fixtures' features stand for the heads' outputs; the first pass of an accumulated step has collected them. */
const v1 = fixtureCases('ssl/accumulation-simdino');
const v2 = fixtureCases('ssl/accumulation-simdinov2');
const cases = [...v1, ...v2];

function optionsOf(hyper: Hyper): SimDinoOptions {
  const settings = hyper.cfg?.dino.mcr ?? hyper;
  return {
    codingRateEps: settings['eps'],
    compressionWeight: settings['coeff'],
    expansionFeatures: settings['expa_type'] === 1 ? 'mean-with-teacher' : 'student',
    covariance: settings['reduce_cov'] === 1 ? 'all-groups' : 'per-group',
    similarity: hyper.cfg === undefined ? 'cosine' : 'dot',
    groups: hyper['groups'],
  };
}

describe.each(cases)('$name', (fixture) => {
  const hyper = fixture.json['hyper'] as Hyper;
  const options = optionsOf(hyper);
  const student = fixture.tensor('student_out') as Host;
  const teacher = fixture.tensor('teacher_out') as Host;
  const expected = fixture.tensor('d_student_out').data as Float32Array;
  const maxRel = fixture.tolerance('d_student_out');

  it('the gradient of the grouped loss', () => {
    expect(gradient(part('loss', options), student, teacher)).toBeAllclose(expected, { maxRel });
  });

  it('the same from micro-batches, with the gradient of the rate taken in a first pass', () => {
    const n = student.shape[1];
    const { compressionWeight, similarity, expansionFeatures: whose, ...rate } = options;
    const whole = tf.tidy(() => {
      const features = expansionFeatures({ student: tensor(student), teacher: tensor(teacher) }, whose);
      const g = expansionGradient(features, rate);
      return { shape: g.shape, data: values(g) };
    });
    const parts = hyper.micro_batches.map(([from, to]) => {
      const [own, other, dF] = [student, teacher, whole].map((x) => images(x, from, to));
      const surrogate = (s: tf.Tensor, t: tf.Tensor, g: tf.Tensor): tf.Scalar => {
        const pair = { student: s as tf.Tensor3D, teacher: t as tf.Tensor3D };
        const { compression } = simDinoLoss(pair, { similarity });
        const share = (to - from) / n;
        const pulled = tf.mul(compression, -share * Number(compressionWeight));
        return tf.sub(pulled, tf.sum(tf.mul(expansionFeatures(pair, whose), g)));
      };
      return { shape: own.shape, data: gradient(surrogate, own, other, dF) };
    });
    expect(joinImages(parts).data).toBeAllclose(expected, { maxRel });
  });
});

describe.each(v1)('$name', (fixture) => {
  it('the value of the grouped loss', () => {
    const options = optionsOf(fixture.json['hyper'] as Hyper);
    const { loss } = lossOf(fixture.tensor('student_out') as Host, fixture.tensor('teacher_out') as Host, options);
    // Outputs are stored in float32, so the loss is known to the rounding of its terms.
    expect(loss).toBeAllclose(fixture.scalar('loss'), { rtol: 1e-5, atol: 2e-6 });
  });
});

describe.each(v2)('$name', (fixture) => {
  it('the gradient of the patch term', () => {
    const weights = fixture.tensor('masks_weight').data as Float32Array;
    const f = (s: tf.Tensor, t: tf.Tensor): tf.Scalar =>
      patchCosineLoss({
        student: s as tf.Tensor2D,
        teacher: t as tf.Tensor2D,
        weights: tf.tensor1d(weights),
        crops: 2 * fixture.tensor('student_out').shape[1],
      });
    const got = gradient(f, fixture.tensor('student_patch_out') as Host, fixture.tensor('teacher_patch_out') as Host);
    expect(got).toBeAllclose(fixture.tensor('d_student_patch_out').data as Float32Array, {
      maxRel: fixture.tolerance('d_student_patch_out'),
    });
  });
});
