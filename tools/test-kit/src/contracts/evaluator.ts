import { Rng } from '@selfsup/core';
import { describe, expect, it } from 'vitest';

/** Frozen features with labels, as every evaluator of features takes them. */
export interface EvaluatorInput {
  /** `[trainLabels.length, width]`, row-major. */
  readonly trainFeatures: Float32Array;
  readonly trainLabels: Int32Array;
  /** `[testLabels.length, width]`, row-major. */
  readonly testFeatures: Float32Array;
  readonly testLabels: Int32Array;
  readonly width: number;
  readonly classes: number;
  /** How many rows to work on at once; must not matter. */
  readonly blockSize: number;
}

/** An evaluator: accuracy in percent on the test features. */
export interface EvaluatorContract {
  readonly name: string;
  readonly accuracy: (input: EvaluatorInput) => Promise<number>;
  /** Difference in percent allowed between block sizes. Default 0. */
  readonly blockTolerance?: number;
}

const WIDTH = 12;
const CLASSES = 5;
const TRAIN = 200;
const TEST = 150;

/** Features around one corner per class, `noise` apart. */
function clusters(rng: Rng, count: number, noise: number): { features: Float32Array; labels: Int32Array } {
  const labels = Int32Array.from({ length: count }, (_, i) => i % CLASSES);
  const features = rng.normals(count * WIDTH, noise);
  labels.forEach((label, i) => (features[i * WIDTH + label] += 1));
  return { features, labels };
}

function task(noise: number): EvaluatorInput {
  const train = clusters(Rng.of(1, 'evaluator-train'), TRAIN, noise);
  const test = clusters(Rng.of(1, 'evaluator-test'), TEST, noise);
  return {
    trainFeatures: train.features,
    trainLabels: train.labels,
    testFeatures: test.features,
    testLabels: test.labels,
    width: WIDTH,
    classes: CLASSES,
    blockSize: 64,
  };
}

/**
 * What holds for every evaluator of frozen features: perfect features score 100, labels without a relation to the
 * features score as chance does, and block size, names of classes and a second run change nothing.
 */
export function evaluatorContract(contract: EvaluatorContract): void {
  const { accuracy } = contract;
  describe(`evaluator contract: ${contract.name}`, () => {
    it('scores 100 on perfect features', async () => {
      expect(await accuracy(task(0.01))).toBe(100);
    });

    it('scores as chance does when train labels are shuffled', async () => {
      const given = task(0.3);
      const order = Rng.of(2, 'evaluator-shuffle').permutation(TRAIN);
      const trainLabels = Int32Array.from(order, (from) => given.trainLabels[from]);
      const chance = 100 / CLASSES;
      // Clusters share a fate, so the spread is that of few independent guesses, not of all test rows.
      expect(Math.abs((await accuracy({ ...given, trainLabels })) - chance)).toBeLessThan(chance);
      expect(await accuracy(given)).toBeGreaterThan(3 * chance);
    });

    it('does not depend on the block size', async () => {
      const given = task(0.5);
      const whole = await accuracy({ ...given, blockSize: TRAIN });
      for (const blockSize of [1, 7, 64]) {
        const difference = Math.abs((await accuracy({ ...given, blockSize })) - whole);
        expect(difference).toBeLessThanOrEqual(contract.blockTolerance ?? 0);
      }
    });

    it('does not depend on which class has which number', async () => {
      const given = task(0.4);
      const names = Rng.of(3, 'evaluator-names').permutation(CLASSES);
      const rename = (labels: Int32Array): Int32Array => labels.map((label) => names[label]);
      const renamed = {
        ...given,
        trainLabels: rename(given.trainLabels),
        testLabels: rename(given.testLabels),
      };
      expect(await accuracy(renamed)).toBeCloseTo(await accuracy(given), 6);
    });

    it('leaves features and labels as they are', async () => {
      const given = task(0.4);
      const before = structuredClone(given);
      await accuracy(given);
      expect(given).toEqual(before);
    });
  });
}
