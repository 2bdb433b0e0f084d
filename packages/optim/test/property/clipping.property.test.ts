import { Rng } from '@selfsup/core';
import { propertyOptions } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { clipPerModule, clipPerTensor, type Clipped, type Tensors } from '../../src/index.js';
import { tidied, toHost } from '../tensors.js';

const problems = fc.record({
  seed: fc.integer({ min: 0, max: 2 ** 31 }),
  scale: fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
  maxNorm: fc.double({ min: 1e-2, max: 1e2, noNaN: true }),
  asTensor: fc.boolean(),
});

function gradients(seed: number, scale: number): Record<string, tf.Tensor> {
  const rng = Rng.of(seed, 'clipping');
  return {
    'backbone.a': tf.tensor(rng.normals(6, scale), [2, 3]),
    'backbone.b': tf.tensor(rng.normals(4, scale), [4]),
    'head.a': tf.tensor(rng.normals(8, scale), [2, 2, 2]),
  };
}

const lengthOf = (...arrays: ArrayLike<number>[]): number => Math.hypot(...arrays.flatMap((a) => Array.from(a)));

interface Found {
  readonly before: ReturnType<typeof toHost>;
  readonly after: ReturnType<typeof toHost>;
  readonly norms: ReturnType<typeof toHost>;
}

function clipped(
  { seed, scale, maxNorm, asTensor }: { seed: number; scale: number; maxNorm: number; asTensor: boolean },
  clip: (grads: Tensors, maxNorm: number | tf.Tensor) => Clipped,
): Found {
  return tidied(() => {
    const grads = gradients(seed, scale);
    const { grads: after, norms } = clip(grads, asTensor ? tf.scalar(maxNorm) : maxNorm);
    return { before: toHost(grads), after: toHost(after), norms: toHost(norms) };
  });
}

it('per tensor: none is longer than the bound, none is turned, short ones stay', () => {
  fc.assert(
    fc.property(problems, (given) => {
      const { before, after, norms } = clipped(given, clipPerTensor);
      for (const [name, { data }] of Object.entries(before)) {
        const norm = lengthOf(data);
        expect(norms[name].data[0]).toBeAllclose(norm);
        const scale = Math.min(1, given.maxNorm / (norm + 1e-6));
        expect(lengthOf(after[name].data)).toBeLessThanOrEqual(given.maxNorm * (1 + 1e-6));
        expect(after[name].data).toBeAllclose(
          Array.from(data, (g) => g * scale),
          { maxRel: 1e-6 },
        );
      }
    }),
    propertyOptions(),
  );
});

it('per module: no module is longer than the bound, tensors of a module keep their proportions', () => {
  fc.assert(
    fc.property(problems, (given) => {
      const { before, after, norms } = clipped(given, (grads, maxNorm) =>
        clipPerModule(grads, ['backbone', 'head'], maxNorm),
      );
      expect(Object.keys(norms).sort()).toEqual(['backbone', 'head']);
      for (const [module, names] of [
        ['backbone', ['backbone.a', 'backbone.b']],
        ['head', ['head.a']],
      ] as const) {
        const norm = lengthOf(...names.map((name) => before[name].data));
        expect(norms[module].data[0]).toBeAllclose(norm);
        const scale = Math.min(1, given.maxNorm / (norm + 1e-6));
        for (const name of names) {
          expect(after[name].data).toBeAllclose(
            Array.from(before[name].data, (g) => g * scale),
            { maxRel: 1e-6 },
          );
        }
      }
    }),
    propertyOptions(),
  );
});

it('a bound of 0 or less turns clipping off', () => {
  fc.assert(
    fc.property(problems, fc.constantFrom(0, -1), (given, maxNorm) => {
      const { before, after } = clipped({ ...given, maxNorm }, clipPerTensor);
      expect(after).toEqual(before);
    }),
    propertyOptions(20),
  );
});
