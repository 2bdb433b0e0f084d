import { Rng } from '@selfsup/core';
import { propertyOptions } from '@selfsup/test-kit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Features, ridgeProbe, type RidgeProbeOptions } from '../../src/index.js';

/** Tasks with more rows than features, or fewer. */
const tasks = fc
  .record({
    trainRows: fc.integer({ min: 2, max: 20 }),
    testRows: fc.integer({ min: 1, max: 8 }),
    width: fc.integer({ min: 1, max: 20 }),
    classes: fc.integer({ min: 2, max: 4 }),
    ridge: fc.double({ min: 0.01, max: 10, noNaN: true }),
    seed: fc.nat(),
  })
  .map(({ trainRows, testRows, width, classes, ridge, seed }): RidgeProbeOptions => {
    const rng = Rng.of(seed, 'ridge');
    const draw = (rows: number): Features => ({ shape: [rows, width], data: rng.normals(rows * width) });
    const labels = (rows: number): number[] => Array.from({ length: rows }, () => rng.integer(classes));
    return {
      trainFeatures: draw(trainRows),
      trainLabels: labels(trainRows),
      testFeatures: draw(testRows),
      testLabels: labels(testRows),
      classes,
      ridge,
    };
  });

const mapped = ({ shape, data }: Features, change: (value: number, column: number) => number): Features => ({
  shape,
  data: Float64Array.from(data, (value, i) => change(value, i % shape[1])),
});

const predictions = (options: RidgeProbeOptions): number[] => Array.from(ridgeProbe(options).predictions);

describe('ridgeProbe', () => {
  it('does not depend on scale and offset of any feature', () => {
    fc.assert(
      fc.property(tasks, fc.double({ min: 0.01, max: 100, noNaN: true }), (task, factor) => {
        const change = (value: number, column: number): number => value * factor * (1 + column) - 3 * column;
        const changed = {
          ...task,
          trainFeatures: mapped(task.trainFeatures, change),
          testFeatures: mapped(task.testFeatures, change),
        };
        expect(predictions(changed)).toEqual(predictions(task));
      }),
      propertyOptions(),
    );
  });

  it('does not depend on how often every train row is given', () => {
    fc.assert(
      fc.property(tasks, (task) => {
        const { shape, data } = task.trainFeatures;
        const twice = {
          ...task,
          trainFeatures: { shape: [2 * shape[0], shape[1]], data: Float64Array.from([...data, ...data]) },
          trainLabels: [...Array.from(task.trainLabels), ...Array.from(task.trainLabels)],
        };
        expect(predictions(twice)).toEqual(predictions(task));
      }),
      propertyOptions(),
    );
  });

  it('guesses the most frequent class when the penalty is all that counts', () => {
    fc.assert(
      fc.property(tasks, (task) => {
        const counts = new Array<number>(task.classes).fill(0);
        for (const label of Array.from(task.trainLabels)) counts[label]++;
        const most = Math.max(...counts);
        fc.pre(counts.filter((count) => count === most).length === 1);
        for (const guess of predictions({ ...task, ridge: 1e9 })) expect(counts[guess]).toBe(most);
      }),
      propertyOptions(),
    );
  });
});
