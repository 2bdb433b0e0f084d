import '../tensors.js';
import type { Rng } from '@selfsup/core';
import { lossContract } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import {
  dinoLoss,
  dinov2ClsLoss,
  ibotLoss,
  koleoLoss,
  prototypeLogits,
  sinkhornTargets,
  softmaxTargets,
} from '../../src/index.js';
import { normal } from '../tensors.js';

interface MultiCropSizes {
  readonly crops: number;
  readonly batch: number;
  readonly prototypes: number;
}

const SIZES: MultiCropSizes = { crops: 4, batch: 3, prototypes: 7 };
/** Logits as heads give them, cosines: steeper ones leave the range of a central difference. */
const logits = (rng: Rng, ...shape: number[]): ReturnType<typeof normal> => normal(rng, shape, 0.2);

const multiCrop = (
  rng: Rng,
  { crops, batch, prototypes }: MultiCropSizes,
): Record<string, ReturnType<typeof normal>> => ({
  student: logits(rng, crops, batch, prototypes),
  teacher: logits(rng, 2, batch, prototypes),
  center: logits(rng, 1, prototypes),
});
const same = (shape: readonly number[]): ReturnType<typeof normal> => ({
  shape,
  dtype: 'f32',
  data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
});

lossContract<MultiCropSizes>({
  name: 'DINO',
  sizes: SIZES,
  inputs: multiCrop,
  loss: ({ student, teacher, center }) => ({ ...dinoLoss({ student, teacher, center, teacherTemperature: 0.05 }) }),
  student: ['student'],
  teacher: ['teacher', 'center'],
  batchAxis: { student: 1, teacher: 1 },
  collapsed: {
    inputs: ({ crops, batch, prototypes: K }) => ({
      student: same([crops, batch, K]),
      teacher: same([2, batch, K]),
      center: same([1, K]),
    }),
    loss: Math.log(SIZES.prototypes),
  },
  refuses: [{ sizes: { ...SIZES, crops: 1 }, code: 'BAD_OPTION' }],
});

lossContract<MultiCropSizes>({
  name: 'DINOv2 CLS, softmax centring',
  sizes: SIZES,
  inputs: multiCrop,
  loss: ({ student, teacher, center }) =>
    tf.tidy(() => dinov2ClsLoss({ student, targets: softmaxTargets(teacher, center, 0.05) })),
  student: ['student'],
  teacher: ['teacher', 'center'],
  batchAxis: { student: 1, teacher: 1 },
  refuses: [{ sizes: { ...SIZES, crops: 1 }, code: 'BAD_OPTION' }],
});

lossContract<MultiCropSizes>({
  name: 'DINOv2 CLS, Sinkhorn-Knopp',
  sizes: { ...SIZES, crops: 2 },
  inputs: (rng, sizes) => {
    const { student, teacher } = multiCrop(rng, sizes);
    return { student, teacher };
  },
  loss: ({ student, teacher }) => tf.tidy(() => dinov2ClsLoss({ student, targets: sinkhornTargets(teacher, 0.05) })),
  student: ['student'],
  teacher: ['teacher'],
  batchAxis: { student: 1, teacher: 1 },
});

interface PatchSizes {
  readonly rows: number;
  readonly weights: number;
}

lossContract<PatchSizes>({
  name: 'iBOT',
  sizes: { rows: 5, weights: 5 },
  inputs: (rng, { rows, weights }) => ({
    student: logits(rng, rows, 6),
    teacher: logits(rng, rows, 6),
    weights: {
      shape: [weights],
      dtype: 'f32',
      data: Float32Array.from({ length: weights }, (_, i) => (i < 3 ? 0.5 : 0)),
    },
  }),
  loss: ({ student, teacher, weights }) =>
    tf.tidy(() => {
      const targets = sinkhornTargets(teacher, 0.05, { rows: weights });
      return { loss: ibotLoss({ student, targets, weights, crops: 4 }) };
    }),
  student: ['student'],
  teacher: ['teacher'],
  batchAxis: { student: 0, teacher: 0, weights: 0 },
  refuses: [{ sizes: { rows: 5, weights: 4 }, code: 'SHAPE_MISMATCH' }],
});

interface KoleoSizes {
  readonly rows: number;
  readonly groups: number;
}

lossContract<KoleoSizes>({
  name: 'KoLeo',
  sizes: { rows: 6, groups: 1 },
  inputs: (rng, { rows }) => ({ features: normal(rng, [rows, 4]) }),
  loss: ({ features }, { groups }) => ({ loss: koleoLoss(features, { groups }) }),
  student: ['features'],
  teacher: [],
  batchAxis: { features: 0 },
  refuses: [
    { sizes: { rows: 1, groups: 1 }, code: 'BAD_OPTION' },
    { sizes: { rows: 6, groups: 6 }, code: 'BAD_OPTION' },
    { sizes: { rows: 6, groups: 4 }, code: 'BAD_OPTION' },
  ],
});

/** The hand-written gradient of the prototypes, with all three inputs as "student". */
lossContract<{ readonly norms: number }>({
  name: 'prototype logits under a random cotangent',
  sizes: { norms: 5 },
  inputs: (rng, { norms }) => ({
    features: normal(rng, [3, 4]),
    directions: normal(rng, [5, 4]),
    norms: normal(rng, [norms, 1]),
    cotangent: normal(rng, [3, 5]),
  }),
  loss: ({ features, directions, norms, cotangent }) =>
    tf.tidy(() => ({ loss: tf.sum(tf.mul(prototypeLogits(features, directions, norms), cotangent)) })),
  student: ['features', 'directions', 'norms'],
  teacher: [],
  batchAxis: { features: 0, cotangent: 0 },
  refuses: [{ sizes: { norms: 4 }, code: 'SHAPE_MISMATCH' }],
});
