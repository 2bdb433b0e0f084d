import { Rng } from '@selfsup/core';
import { propertyOptions } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  joinSinkhornSums,
  SINKHORN_ITERATIONS,
  type SinkhornFactors,
  sinkhornSums,
  sinkhornTargets,
} from '../../src/index.js';
import { normal, tidied, toHost, toTensor } from '../tensors.js';

const TEMPERATURE = 0.05;

/** Rows in parts, some of which are padding; parts may be all padding. */
const problems = fc.record({
  seed: fc.nat(),
  parts: fc.integer({ min: 1, max: 4 }),
  rows: fc.integer({ min: 1, max: 5 }),
  prototypes: fc.integer({ min: 1, max: 6 }),
  padding: fc.double({ min: 0, max: 1, noNaN: true }),
});

it('Sinkhorn over parts: gives the targets of all rows at once', () => {
  fc.assert(
    fc.property(problems, ({ seed, parts, rows, prototypes, padding }) => {
      const rng = Rng.of(seed, 'sinkhorn-parts');
      const { found, expected } = tidied(() => {
        const logits = Array.from({ length: parts }, () => toTensor(normal(rng, [rows, prototypes], 0.3)));
        const counted = Array.from({ length: parts * rows }, () => (rng.uniform() < padding ? 0 : 0.5));
        const rowsOf = (k: number): tf.Tensor1D => tf.tensor1d(counted.slice(k * rows, (k + 1) * rows));
        const joined = (factors?: SinkhornFactors): SinkhornFactors => {
          const sums = logits.map((part, k) => {
            const options = { rows: rowsOf(k), ...(factors === undefined ? {} : { factors }) };
            const { sums: columns, largest } = sinkhornSums(part, TEMPERATURE, options);
            return {
              sums: columns.dataSync() as Float32Array,
              largest: largest.dataSync()[0],
              rows: counted.slice(k * rows, (k + 1) * rows).filter((weight) => weight > 0).length,
            };
          });
          const next = joinSinkhornSums(sums, TEMPERATURE);
          return { prototypes: tf.tensor2d(next.prototypes, [1, prototypes]), largest: tf.scalar(next.largest) };
        };
        let factors = joined();
        for (let i = 1; i < SINKHORN_ITERATIONS; i++) factors = joined(factors);
        const targets = logits.map((part, k) => sinkhornTargets(part, TEMPERATURE, { rows: rowsOf(k), factors }));
        return {
          found: toHost(tf.concat(targets, 0)).data,
          expected: toHost(sinkhornTargets(tf.concat(logits, 0), TEMPERATURE, { rows: tf.tensor1d(counted) })).data,
        };
      });
      expect(found).toBeAllclose(expected, { rtol: 1e-4, atol: 1e-6 });
    }),
    propertyOptions(),
  );
});
