import '@tensorflow/tfjs';
import { type HostTensor, type Rng, SslError } from '@selfsup/core';
import { lossContract } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  collapsedExpansion,
  expansionFeatures,
  patchCosineLoss,
  simDinoLoss,
  type SimDinoOptions,
} from '../../src/index.js';
import { gradient, host, lossOf, part, tensor, units, values } from '../support.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

interface Sizes {
  readonly views: number;
  readonly teacherViews?: number;
  readonly batch: number;
  readonly width: number;
  readonly teacherWidth?: number;
}

/** Random features of about unit length. */
function features(rng: Rng, views: number, batch: number, width: number): HostTensor {
  return {
    shape: [views, batch, width],
    dtype: 'f32',
    data: rng.normals(views * batch * width, 1 / Math.sqrt(width)),
  };
}

const variants: Record<string, SimDinoOptions> = {
  'SimDINO as published': {},
  'SimDINOv2, three groups': { similarity: 'dot', groups: 3 },
  'the student alone, theory gamma': { expansionFeatures: 'student', gamma: 'theory', codingRateEps: 0.5 },
  'covariance of all groups': { covariance: 'all-groups', groups: 2, compressionWeight: 2 },
};

for (const [name, options] of Object.entries(variants)) {
  const sizes: Sizes = { views: 4, batch: 6, width: 5 };
  const { codingRateEps = 0.05, groups = 1, covariance = 'per-group', gamma = 'code', compressionWeight = 1 } = options;
  const bound = collapsedExpansion({
    batchSize: sizes.batch,
    width: sizes.width,
    codingRateEps: Number(codingRateEps),
    groups,
    covariance,
    gamma,
  });
  lossContract<Sizes>({
    name,
    sizes,
    inputs: (rng, { views, teacherViews = 2, batch, width, teacherWidth = width }) => ({
      student: features(rng, views, batch, width),
      teacher: features(rng, teacherViews, batch, teacherWidth),
    }),
    loss: ({ student, teacher }) => ({
      ...simDinoLoss({ student: student as tf.Tensor3D, teacher: teacher as tf.Tensor3D }, options),
    }),
    student: ['student'],
    teacher: ['teacher'],
    // With groups only the order within a group is free; see the properties.
    ...(groups === 1 || covariance === 'all-groups' ? { batchAxis: { student: 1, teacher: 1 } } : {}),
    collapsed: {
      inputs: ({ views, batch, width }) => {
        const same = (v: number): HostTensor => ({
          shape: [v, batch, width],
          dtype: 'f32',
          data: new Float32Array(v * batch * width).fill(1 / Math.sqrt(width)),
        });
        return { student: same(views), teacher: same(2) };
      },
      loss: -Number(compressionWeight) - bound,
    },
    refuses: [
      { sizes: { ...sizes, views: 1 }, code: 'SHAPE_MISMATCH' },
      { sizes: { ...sizes, teacherViews: 1 }, code: 'SHAPE_MISMATCH' },
      { sizes: { ...sizes, teacherViews: 3 }, code: 'SHAPE_MISMATCH' },
      { sizes: { ...sizes, teacherWidth: 4 }, code: 'SHAPE_MISMATCH' },
      ...(groups === 1 ? [] : [{ sizes: { ...sizes, batch: 7 }, code: 'BAD_OPTION' as const }]),
    ],
  });
}

lossContract({
  name: 'patch cosine',
  sizes: { rows: 7, width: 4 },
  inputs: (rng, { rows, width }) => ({
    student: { shape: [rows, width], dtype: 'f32', data: rng.normals(rows * width) },
    teacher: { shape: [rows, width], dtype: 'f32', data: rng.normals(rows * width) },
    weights: { shape: [rows], dtype: 'f32', data: rng.uniforms(rows) },
  }),
  loss: ({ student, teacher, weights }) => ({
    loss: patchCosineLoss({
      student: student as tf.Tensor2D,
      teacher: teacher as tf.Tensor2D,
      weights: weights as tf.Tensor1D,
      crops: 3,
    }),
  }),
  student: ['student'],
  teacher: ['teacher'],
  batchAxis: { student: 0, teacher: 0, weights: 0 },
});

describe('simDinoLoss', () => {
  const student = units(1, [4, 6, 5]);
  const teacher = units(2, [2, 6, 5]);

  it('is -compressionWeight * compression - expansion', () => {
    const { loss, compression, expansion } = lossOf(student, teacher, { compressionWeight: 0.3 });
    expect(loss).toBeAllclose(-0.3 * compression - expansion);
  });

  it('counts the 2 C - 2 pairs of different views', () => {
    const width = 5;
    const at = (view: number, image: number, source = student.data): number[] =>
      Array.from({ length: width }, (_, k) => source[(view * 6 + image) * width + k]);
    let sum = 0;
    for (let g = 0; g < 2; g++)
      for (let v = 0; v < 4; v++)
        for (let b = 0; b < 6 && v !== g; b++) {
          const t = at(g, b, teacher.data);
          sum += at(v, b).reduce((s, x, k) => s + x * t[k], 0) / 6;
        }
    expect(lossOf(student, teacher).compression).toBeAllclose(sum / 6);
  });

  it('takes the weight of compression as a tensor', () => {
    const fixed = lossOf(student, teacher, { compressionWeight: 0.25 }).loss;
    expect(lossOf(student, teacher, { compressionWeight: tf.scalar(0.25) }).loss).toBeAllclose(fixed);
  });

  it('gives the student half of the gradient of the mean features', () => {
    const [f, g] = tf.tidy(() => {
      const s = tensor<tf.Tensor3D>(student);
      const t = tensor<tf.Tensor3D>(teacher);
      const mean = expansionFeatures({ student: s, teacher: t });
      return [
        values(mean),
        values(tf.grad((s) => tf.sum(expansionFeatures({ student: s as tf.Tensor3D, teacher: t })))(s)),
      ];
    });
    expect(f).toBeAllclose(Array.from(teacher.data, (x, i) => (x + student.data[i]) / 2));
    expect(g).toBeAllclose(Array.from(g, (_, i) => (i < 60 ? 0.5 : 0)));
  });

  it('differs between cosine and dot by the radial part of the gradient alone', () => {
    const cosine = gradient(part('compression', {}), student, teacher);
    const dot = gradient(part('compression', { similarity: 'dot' }), student, teacher);
    for (let row = 0; row < dot.length; row += 5) {
      const x = Array.from({ length: 5 }, (_, k) => student.data[row + k]);
      const radial = x.reduce((s, v, k) => s + v * dot[row + k], 0);
      for (let k = 0; k < 5; k++) expect(cosine[row + k]).toBeCloseTo(dot[row + k] - radial * x[k], 6);
    }
  });

  it('says what is wrong and what to do', () => {
    type Shape = [number, number, number];
    const call = (s: Shape, t: Shape, options?: SimDinoOptions) => () =>
      simDinoLoss({ student: tf.zeros(s), teacher: tf.zeros(t) }, options);
    expect(call([1, 6, 5], [2, 6, 5])).toThrow(
      /student \[C, B, d\] with C >= 2, got \[1, 6, 5\]\. Fix: pass at least two global views/,
    );
    expect(call([4, 6, 5], [2, 6, 4])).toThrow(/teacher of shape \[2, B=6, d=5\], got \[2, 6, 4\]\. Fix: pass teacher/);
    expect(call([4, 6, 5], [2, 5, 5])).toThrow(/teacher of shape \[2, B=6, d=5\]/);
    expect(call([4, 6, 5], [2, 6, 5], { groups: 4 })).toThrow(/groups to divide the 6 images.*Fix: use as many groups/);
    expect(call([4, 6, 5], [2, 6, 5], { groups: 1.5 })).toThrow(SslError);
    const similarity = 'cosin' as 'cosine';
    expect(call([4, 6, 5], [2, 6, 5], { similarity })).toThrow(/similarity .*"cosin"\. Fix: did you mean "cosine"/);
    const whose = 'studnt' as 'student';
    expect(call([4, 6, 5], [2, 6, 5], { expansionFeatures: whose })).toThrow(/Fix: did you mean "student"/);
    expect(call([4, 6, 5], [2, 6, 5], { codingRateEps: 0 })).toThrow(/codingRateEps > 0/);
  });
});

describe('patchCosineLoss', () => {
  it('is 0 without a masked patch, with a gradient of 0, even for rows of zeros', () => {
    const zero = host([3, 2], new Float64Array(6));
    const f = (s: tf.Tensor, t: tf.Tensor): tf.Scalar =>
      patchCosineLoss({ student: s as tf.Tensor2D, teacher: t as tf.Tensor2D, weights: tf.zeros([3]), crops: 4 });
    expect(gradient(f, zero, zero).every((g) => g === 0)).toBe(true);
    expect(tf.tidy(() => values(f(tensor(zero), tensor(zero)))[0])).toBeCloseTo(0, 10);
  });

  it('refuses rows that do not match', () => {
    const rows = (n: number, d = 2): tf.Tensor2D => tf.zeros([n, d]);
    const call = (s: number, t: number, w: number) => () =>
      patchCosineLoss({ student: rows(s), teacher: rows(t), weights: tf.zeros([w]), crops: 1 });
    expect(call(3, 4, 3)).toThrow(/teacher of shape \[M=3, d=2\], got \[4, 2\]\. Fix: pass teacher/);
    expect(call(3, 3, 2)).toThrow(/weights of shape \[M=3\], got \[2\]/);
  });
});

describe('targetGradient', () => {
  it('stops at the targets by default, and flows through both terms when asked to', () => {
    const [student, teacher] = [0, 1].map((i) =>
      tf.tensor3d(
        Array.from({ length: 24 }, (_, k) => Math.sin(k * 1.7 + i)),
        [2, 3, 4],
      ),
    );
    const norms = (options: SimDinoOptions): number[] =>
      (['compression', 'expansion'] as const).map((name) => {
        const of = (t: tf.Tensor): tf.Tensor => simDinoLoss({ student, teacher: t as tf.Tensor3D }, options)[name];
        return Math.hypot(...tf.grad(of)(teacher).dataSync());
      });
    expect(norms({})).toEqual([0, 0]);
    for (const norm of norms({ targetGradient: 'flow' })) expect(norm).toBeGreaterThan(1e-3);
    tf.dispose([student, teacher]);
  });
});
