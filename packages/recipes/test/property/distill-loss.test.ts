import '@tensorflow/tfjs';
import { Rng } from '@selfsup/core';
import { propertyOptions } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { tokenCosines, type Tokens } from '../../src/index.js';

beforeAll(() => tf.setBackend('cpu'));

const sizes = fc.record({
  views: fc.integer({ min: 1, max: 4 }),
  patches: fc.integer({ min: 1, max: 5 }),
  width: fc.integer({ min: 1, max: 6 }),
  seed: fc.nat(),
});

function draw({ views, patches, width, seed }: typeof sizes extends fc.Arbitrary<infer T> ? T : never): Tokens {
  const rng = Rng.of(seed, 'tokens');
  return {
    cls: tf.tensor2d(rng.normals(views * width), [views, width]),
    patches: tf.tensor3d(rng.normals(views * patches * width), [views, patches, width]),
  };
}

const numbers = (student: Tokens, teacher: Tokens): number[] => {
  const { cls, patch } = tokenCosines(student, teacher);
  return [cls.dataSync()[0], ...(patch === undefined ? [] : [patch.dataSync()[0]])];
};

const scaled = ({ cls, patches }: Tokens, by: number): Tokens => ({
  cls: tf.mul(cls, by),
  ...(patches === undefined ? {} : { patches: tf.mul<tf.Tensor3D>(patches, by) }),
});

describe('cosines of tokens', () => {
  it('are 1 for the same direction whatever the length, -1 for the opposite one, and within that for any', () => {
    fc.assert(
      fc.property(sizes, fc.double({ min: 0.1, max: 10, noNaN: true }), (size, by) => {
        tf.tidy(() => {
          const tokens = draw(size);
          const others = draw({ ...size, seed: size.seed + 1 });
          expect(numbers(scaled(tokens, by), tokens)).toBeAllclose([1, 1], { atol: 1e-5 });
          expect(numbers(scaled(tokens, -by), tokens)).toBeAllclose([-1, -1], { atol: 1e-5 });
          for (const cosine of numbers(tokens, others)) expect(Math.abs(cosine)).toBeLessThanOrEqual(1 + 1e-5);
          expect(numbers(scaled(tokens, by), others)).toBeAllclose(numbers(tokens, others), { atol: 1e-5 });
        });
      }),
      propertyOptions(),
    );
  });

  it('do not depend on the order of views, and patches only count where both networks have them', () => {
    fc.assert(
      fc.property(sizes, (size) => {
        tf.tidy(() => {
          const [student, teacher] = [draw(size), draw({ ...size, seed: size.seed + 1 })];
          const reversed = ({ cls, patches }: Tokens): Tokens => ({
            cls: tf.reverse(cls, 0),
            ...(patches === undefined ? {} : { patches: tf.reverse(patches, 0) }),
          });
          expect(numbers(reversed(student), reversed(teacher))).toBeAllclose(numbers(student, teacher), {
            atol: 1e-5,
          });
          expect(numbers({ cls: student.cls }, teacher)).toHaveLength(1);
        });
      }),
      propertyOptions(),
    );
  });

  it('pass no gradient on to the teacher', () => {
    const [student, teacher] = [
      draw({ views: 2, patches: 3, width: 4, seed: 1 }),
      draw({ views: 2, patches: 3, width: 4, seed: 2 }),
    ];
    const gradient = tf.grad((cls) => tokenCosines(student, { ...teacher, cls: cls as tf.Tensor2D }).cls);
    expect(Array.from(gradient(teacher.cls).dataSync()).every((g) => g === 0)).toBe(true);
  });

  it('are refused for patches of another grid', () => {
    const [student, teacher] = [
      draw({ views: 2, patches: 3, width: 4, seed: 1 }),
      draw({ views: 2, patches: 4, width: 4, seed: 1 }),
    ];
    expect(() => tokenCosines(student, teacher)).toThrow(/student.patches/);
  });
});
