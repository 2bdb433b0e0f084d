import { SslError } from '@selfsup/core';
import { evaluatorContract } from '@selfsup/test-kit';
import { inverse, Matrix } from 'ml-matrix';
import { describe, expect, it } from 'vitest';
import { type Features, ridgeProbe, type RidgeProbeOptions } from '../../src/index.js';

const matrix = (rows: number[][]): Features => ({
  shape: [rows.length, rows[0].length],
  data: Float64Array.from(rows.flat()),
});

evaluatorContract({
  name: 'ridge probe',
  accuracy: async ({ width, trainFeatures, trainLabels, testFeatures, testLabels, classes }) =>
    ridgeProbe({
      trainFeatures: { shape: [trainLabels.length, width], data: trainFeatures },
      testFeatures: { shape: [testLabels.length, width], data: testFeatures },
      trainLabels,
      testLabels,
      classes,
    }).top1,
});

const TWO: RidgeProbeOptions = {
  trainFeatures: matrix([[1, 0.2], [0.9, 0], [0.1, 1], [0, 0.8]]), // prettier-ignore
  trainLabels: [0, 0, 1, 1],
  testFeatures: matrix([[2, 0], [0, 3]]), // prettier-ignore
  testLabels: [0, 1],
  classes: 2,
};

describe('ridgeProbe', () => {
  it('predicts what the normal equations say, intercept and all', () => {
    const train = [[1, 0, 2], [0, 1, 1], [3, 1, 0], [2, 2, 2], [0, 0, 1]]; // prettier-ignore
    const labels = [0, 1, 2, 1, 0];
    const test = [[1, 1, 1], [3, 0, 0], [0, 2, 1], [2, 1, 3]]; // prettier-ignore
    const ridge = 0.3;
    const x = new Matrix(train);
    const mean = x.mean('column');
    const std = x.standardDeviation('column', { unbiased: false });
    const z = (rows: number[][]): Matrix => new Matrix(rows.map((row) => row.map((v, c) => (v - mean[c]) / std[c])));
    // Intercept as a column of its own that is not penalised.
    const ones = (m: Matrix): Matrix => new Matrix(m.to2DArray().map((row) => [...row, 1]));
    const design = ones(z(train));
    const penalty = Matrix.diag([1, 1, 1, 0].map((p) => p * ridge * train.length));
    const targets = new Matrix(labels.map((label) => [0, 1, 2].map((c) => (c === label ? 1 : 0))));
    const transposed = design.transpose();
    const weights = inverse(transposed.mmul(design).add(penalty)).mmul(transposed).mmul(targets);
    const scores = ones(z(test)).mmul(weights).to2DArray();
    const expected = scores.map((row) => row.indexOf(Math.max(...row)));
    const { predictions, top1, top5 } = ridgeProbe({
      trainFeatures: matrix(train),
      trainLabels: labels,
      testFeatures: matrix(test),
      testLabels: expected,
      classes: 3,
      ridge,
    });
    expect(Array.from(predictions)).toEqual(expected);
    expect([top1, top5]).toEqual([100, 100]);
    expect(new Set(expected).size).toBeGreaterThan(1);
  });

  it('copes with features that are constant, and with labels that all are the same', () => {
    const constant = ridgeProbe({
      ...TWO,
      trainFeatures: matrix([[1, 5], [1, 5], [0, 5], [0, 5]]), // prettier-ignore
      testFeatures: matrix([[1, 5], [0, 7]]), // prettier-ignore
    });
    expect(constant.top1).toBe(100);
    expect(ridgeProbe({ ...TWO, trainLabels: [1, 1, 1, 1] }).top1).toBe(50);
    const collapsed = ridgeProbe({ ...TWO, trainFeatures: matrix(Array.from({ length: 4 }, () => [3, 3])) });
    expect(Array.from(collapsed.predictions)).toEqual([0, 0]);
  });

  it('says what decides the number', () => {
    expect(ridgeProbe(TWO).setting).toEqual({ ridge: 0.01, trainRows: 4, testRows: 2, width: 2, classes: 2 });
  });

  it.each([
    ['no test rows', { testFeatures: { shape: [0, 2], data: new Float32Array() }, testLabels: [] }, 'DATA_EMPTY'],
    ['another width', { testFeatures: matrix([[1, 2, 3], [1, 2, 3]]) }, 'SHAPE_MISMATCH'], // prettier-ignore
    ['a label outside the classes', { trainLabels: [0, 1, 2, 1] }, 'BAD_DATA'],
    ['fewer labels than rows', { testLabels: [0] }, 'SHAPE_MISMATCH'],
    ['no ridge', { ridge: 0 }, 'BAD_OPTION'],
    ['NaN', { testFeatures: matrix([[1, NaN], [0, 3]]) }, 'NON_FINITE'], // prettier-ignore
  ] as const)('refuses %s', (_, changes, code) => {
    let caught: unknown;
    try {
      ridgeProbe({ ...TWO, ...changes });
    } catch (error) {
      caught = error;
    }
    expect(SslError.is(caught) && caught.code).toBe(code);
  });
});
