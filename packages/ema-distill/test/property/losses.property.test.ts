import { Rng } from '@selfsup/core';
import { propertyOptions } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  dinoLoss,
  dinov2ClsLoss,
  koleoLoss,
  meanEntropy,
  pairwiseCrossEntropy,
  rowCrossEntropy,
  sinkhornTargets,
  softmaxTargets,
  updateCenter,
} from '../../src/index.js';
import type { HostNumbers } from '@selfsup/test-kit/golden-case';
import { normal, tidied, toHost, toTensor } from '../tensors.js';

const problems = fc.record({
  seed: fc.integer({ min: 0, max: 2 ** 31 }),
  crops: fc.integer({ min: 2, max: 5 }),
  batch: fc.integer({ min: 1, max: 4 }),
  prototypes: fc.integer({ min: 2, max: 8 }),
  shift: fc.double({ min: -4, max: 4, noNaN: true }),
});
type Problem = typeof problems extends fc.Arbitrary<infer T> ? T : never;

interface Tensors {
  readonly student: tf.Tensor;
  readonly teacher: tf.Tensor;
  readonly center: tf.Tensor;
}

function tensorsOf({ seed, crops, batch, prototypes: K }: Problem): Tensors {
  const rng = Rng.of(seed, 'losses');
  return {
    student: toTensor(normal(rng, [crops, batch, K])),
    teacher: toTensor(normal(rng, [2, batch, K], 0.3)),
    center: toTensor(normal(rng, [1, K], 0.3)),
  };
}

const valueOf = (x: tf.Tensor): number => x.dataSync()[0];
const teacherTemperature = 0.07;

/** Shifted logits of magnitude 4 / 0.07 lose digits before anything is computed with them. */
const SHIFTED = { rtol: 2e-4, atol: 2e-4 };

it('pairs: agrees with the definition in float64', () => {
  fc.assert(
    fc.property(problems, (given) => {
      const { crops, batch, prototypes: K } = given;
      const { found, logits, q } = tidied(() => {
        const { student, teacher, center } = tensorsOf(given);
        const targets = softmaxTargets(teacher, center, teacherTemperature);
        return {
          found: toHost(pairwiseCrossEntropy(student, targets, 0.1)),
          logits: toHost(student).data,
          q: toHost(targets).data,
        };
      });
      const expected: number[] = [];
      for (let v = 0; v < crops; v++) {
        for (let g = 0; g < 2; g++) {
          let total = 0;
          for (let b = 0; b < batch; b++) {
            const row = Array.from(logits.slice((v * batch + b) * K, (v * batch + b + 1) * K), (x) => x / 0.1);
            const largest = Math.max(...row);
            const logSum = largest + Math.log(row.reduce((sum, x) => sum + Math.exp(x - largest), 0));
            row.forEach((x, k) => (total -= q[(g * batch + b) * K + k] * (x - logSum)));
          }
          expected.push(total / batch);
        }
      }
      expect(found.data).toBeAllclose(expected, { rtol: 1e-5, atol: 1e-5 });
    }),
    propertyOptions(),
  );
});

it('rows: the same as pairs of one image each', () => {
  fc.assert(
    fc.property(problems, (given) => {
      const { batch: M, prototypes: K } = given;
      tidied(() => {
        const { student, teacher } = tensorsOf(given);
        const logits = tf.reshape(tf.slice(student, [0, 0, 0], [1, M, K]), [M, K]);
        const targets = tf.reshape(tf.softmax(tf.slice(teacher, [0, 0, 0], [1, M, K])), [M, K]);
        const rows = toHost(rowCrossEntropy(logits, targets, 0.1)).data;
        for (let m = 0; m < M; m++) {
          const one = (x: tf.Tensor): tf.Tensor => tf.reshape(tf.slice(x, [m, 0], [1, K]), [1, 1, K]);
          expect(valueOf(pairwiseCrossEntropy(one(logits), one(targets), 0.1))).toBeAllclose(rows[m]);
        }
      });
    }),
    propertyOptions(),
  );
});

it('cross entropy is at least the entropy of the targets', () => {
  fc.assert(
    fc.property(problems, (given) => {
      tidied(() => {
        const { student, teacher, center } = tensorsOf(given);
        const { loss, targets } = dinoLoss({ student, teacher, center, teacherTemperature });
        const entropy = valueOf(meanEntropy(targets));
        expect(valueOf(loss)).toBeGreaterThanOrEqual(entropy - 1e-5);
        expect(entropy).toBeGreaterThanOrEqual(0);
        expect(entropy).toBeLessThanOrEqual(Math.log(given.prototypes) + 1e-5);
      });
    }),
    propertyOptions(),
  );
});

it('does not change when all logits of a row are shifted, or center and teacher together', () => {
  fc.assert(
    fc.property(problems, (given) => {
      tidied(() => {
        const { student, teacher, center } = tensorsOf(given);
        const rng = Rng.of(given.seed, 'shift');
        const { crops, batch, prototypes: K, shift } = given;
        const lossOf = (input: Tensors): number => valueOf(dinoLoss({ ...input, teacherTemperature }).loss);
        const loss = lossOf({ student, teacher, center });
        const perRow = (n: number): tf.Tensor => toTensor(normal(rng, [n, batch, 1], 2));
        expect(lossOf({ student: tf.add(student, perRow(crops)), teacher, center })).toBeAllclose(loss, SHIFTED);
        expect(lossOf({ student, teacher: tf.add(teacher, perRow(2)), center })).toBeAllclose(loss, SHIFTED);
        expect(lossOf({ student, teacher, center: tf.add(center, shift) })).toBeAllclose(loss, SHIFTED);
        const moved = toTensor(normal(rng, [1, K], 2));
        const both = { student, teacher: tf.add(teacher, moved), center: tf.add(center, moved) };
        expect(lossOf(both)).toBeAllclose(loss, SHIFTED);
      });
    }),
    propertyOptions(),
  );
});

it('DINOv2 averages as DINO does where there are local crops', () => {
  fc.assert(
    fc.property(problems, (given) => {
      tidied(() => {
        const { student, teacher, center } = tensorsOf(given);
        const { loss, targets } = dinoLoss({ student, teacher, center, teacherTemperature });
        const v2 = dinov2ClsLoss({ student, targets });
        const factor = given.crops === 2 ? 2 / 3 : 1;
        expect(valueOf(v2.loss)).toBeAllclose(valueOf(loss) * factor);
      });
    }),
    propertyOptions(),
  );
});

it('the center moves towards the mean by one tenth, whatever the weights of its rows', () => {
  fc.assert(
    fc.property(problems, (given) => {
      const { batch, prototypes: K } = given;
      tidied(() => {
        const { teacher, center } = tensorsOf(given);
        const expected = tf.add(tf.mul(center, 0.9), tf.mul(tf.mean(tf.reshape(teacher, [2 * batch, K]), 0), 0.1));
        expect(toHost(updateCenter(center, teacher))).toBeAllclose(toHost(expected));
        const even = tf.fill([2 * batch], 1 / (2 * batch));
        expect(toHost(updateCenter(center, teacher, 0.9, even))).toBeAllclose(toHost(expected));
        const none = tf.zeros([2 * batch]);
        expect(toHost(updateCenter(center, teacher, 0.9, none))).toEqual(toHost(center));
      });
    }),
    propertyOptions(),
  );
});

/** Rows of a matrix in another order. */
function permuted({ shape, data }: HostNumbers, order: ArrayLike<number>): HostNumbers {
  const K = shape[1];
  return { shape, data: Array.from(order).flatMap((row) => Array.from(data).slice(row * K, (row + 1) * K)) };
}

const matrices = fc.record({
  seed: fc.integer({ min: 0, max: 2 ** 31 }),
  rows: fc.integer({ min: 1, max: 8 }),
  prototypes: fc.integer({ min: 1, max: 8 }),
});

it('Sinkhorn: rows sum to 1, prototypes share evenly after many iterations', () => {
  fc.assert(
    fc.property(matrices, ({ seed, rows, prototypes }) => {
      tidied(() => {
        const logits = toTensor(normal(Rng.of(seed, 'sinkhorn'), [rows, prototypes], 0.05));
        const few = sinkhornTargets(logits, 0.05);
        expect(toHost(tf.sum(few, 1)).data).toBeAllclose(new Float32Array(rows).fill(1));
        const many = sinkhornTargets(logits, 0.05, { iterations: 60 });
        expect(toHost(tf.sum(many, 1)).data).toBeAllclose(new Float32Array(rows).fill(1));
        const share = rows / prototypes;
        expect(toHost(tf.sum(many, 0)).data).toBeAllclose(new Float32Array(prototypes).fill(share), { rtol: 1e-2 });
      });
    }),
    propertyOptions(),
  );
});

it('Sinkhorn: permuted rows give permuted targets, shifts of all logits change nothing', () => {
  fc.assert(
    fc.property(matrices, fc.double({ min: -2, max: 2, noNaN: true }), ({ seed, rows, prototypes }, shift) => {
      const rng = Rng.of(seed, 'sinkhorn');
      const logits = normal(rng, [rows, prototypes], 0.3);
      const order = rng.permutation(rows);
      tidied(() => {
        const targets = toHost(sinkhornTargets(toTensor(logits), 0.05));
        const moved = toHost(sinkhornTargets(toTensor(permuted(logits, order)), 0.05));
        expect(moved).toBeAllclose(permuted(targets, order), { rtol: 1e-4 });
        const shifted = toHost(sinkhornTargets(tf.add(toTensor(logits), shift), 0.05));
        expect(shifted).toBeAllclose(targets, { rtol: 2e-4, atol: 1e-5 });
      });
    }),
    propertyOptions(),
  );
});

it('Sinkhorn: padding influences nothing, however large, and gets no target', () => {
  fc.assert(
    fc.property(matrices, fc.constantFrom(-50, 0, 50), ({ seed, rows, prototypes }, garbage) => {
      tidied(() => {
        const logits = toTensor(normal(Rng.of(seed, 'sinkhorn'), [rows, prototypes], 0.3));
        const padded = tf.concat([tf.fill([2, prototypes], garbage), logits], 0);
        const valid = tf.concat([tf.zeros([2]), tf.ones([rows])], 0);
        const targets = sinkhornTargets(padded, 0.05, { rows: valid });
        const expected = tf.concat([tf.zeros([2, prototypes]), sinkhornTargets(logits, 0.05)], 0);
        expect(toHost(targets)).toBeAllclose(toHost(expected));
        const none = sinkhornTargets(padded, 0.05, { rows: tf.zerosLike(valid) });
        expect(toHost(none).data.every((x) => x === 0)).toBe(true);
      });
    }),
    propertyOptions(),
  );
});

it('KoLeo: the mean over groups, whatever the length of the features', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2 ** 31 }),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 2, max: 4 }),
      fc.double({ min: 0.1, max: 10, noNaN: true }),
      (seed, groups, perGroup, length) => {
        tidied(() => {
          const features = toTensor(normal(Rng.of(seed, 'koleo'), [groups * perGroup, 5]));
          const parts = Array.from({ length: groups }, (_, g) =>
            valueOf(koleoLoss(tf.slice(features, [g * perGroup, 0], [perGroup, 5]))),
          );
          const mean = parts.reduce((a, b) => a + b) / groups;
          expect(valueOf(koleoLoss(features, { groups }))).toBeAllclose(mean);
          expect(valueOf(koleoLoss(tf.mul(features, length), { groups }))).toBeAllclose(mean, { rtol: 1e-4 });
        });
      },
    ),
    propertyOptions(),
  );
});

it('KoLeo: finite with finite gradient for twins', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 31 }), (seed) => {
      tidied(() => {
        const row = toTensor(normal(Rng.of(seed, 'twins'), [1, 6]));
        const { value, grad } = tf.valueAndGrad((x: tf.Tensor) => koleoLoss(x))(tf.concat([row, row], 0));
        expect(Number.isFinite(valueOf(value))).toBe(true);
        expect(grad.dataSync().every(Number.isFinite)).toBe(true);
      });
    }),
    propertyOptions(20),
  );
});
