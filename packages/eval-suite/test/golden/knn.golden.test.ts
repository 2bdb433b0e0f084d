import '@tensorflow/tfjs';
import * as tf from '@tensorflow/tfjs-core';
import { fixtureCases, type FixtureTensor } from '@selfsup/test-kit';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Features, knnClassify, nearestNeighbours, neighbourVotes } from '../../src/index.js';

interface Expected {
  readonly top1: number;
  readonly top5: number;
  readonly top5_counting_only_classes_with_votes: number;
}

beforeAll(() => tf.setBackend('cpu'));

const featuresOf = (tensor: FixtureTensor): Features => ({
  shape: tensor.shape,
  data: Float32Array.from(tensor.data),
});

/** Classes of a row in the order of their votes, equal ones by number. */
const ranking = (votes: Float64Array): number[] =>
  Array.from(votes.keys()).sort((a, b) => votes[b] - votes[a] || a - b);

describe.each(fixtureCases('ssl/knn'))('$name', (fixture) => {
  const {
    num_classes: classes,
    T: temperature,
    k: ks,
  } = fixture.json['hyper'] as {
    num_classes: number;
    T: number;
    k: number[];
  };
  const trainFeatures = featuresOf(fixture.tensor('train_features'));
  const testFeatures = featuresOf(fixture.tensor('test_features'));
  const trainLabels = fixture.tensor('train_labels').data;
  const testLabels = fixture.tensor('test_labels').data;

  it.each(ks)('k = %i: votes, predictions and accuracy of the authors', async (k) => {
    const tolerance = fixture.tolerance(`k${k}`);
    const result = await knnClassify({
      trainFeatures,
      trainLabels,
      testFeatures,
      testLabels,
      classes,
      k: [k],
      temperature,
    });
    const neighbours = await nearestNeighbours(testFeatures, trainFeatures, k);
    const votes = neighbourVotes(neighbours, trainLabels, classes, k, temperature);
    const expectedVotes = fixture.tensor(`k${k}/votes5`);
    const expectedFirst = fixture.tensor(`k${k}/pred1`).data;
    const expectedFive = fixture.tensor(`k${k}/pred5`);
    const columns = expectedVotes.shape[1];
    const rows = testLabels.length;
    let amongVoted = 0;
    let compared = 0;
    const got = new Float64Array(rows * columns);
    for (let row = 0; row < rows; row++) {
      const own = votes.subarray(row * classes, (row + 1) * classes);
      const order = ranking(own);
      // The authors' votes carry the factor of the best similarity.
      const factor = Math.exp(neighbours.similarities[row * neighbours.k] / temperature);
      for (let c = 0; c < columns; c++) got[row * columns + c] = own[order[c]] * factor;
      if (order.slice(0, 5).some((c) => c === testLabels[row] && own[c] > 0)) amongVoted++;

      const theirs = expectedVotes.data.subarray(row * columns, (row + 1) * columns);
      for (let c = 0; c < columns; c++) {
        const clear = (other: number): boolean =>
          other < 0 || other >= columns || Math.abs(theirs[c] - theirs[other]) > 10 * tolerance * theirs[c];
        // Equal votes, and the last column whose runner-up is not stored, have no defined order.
        if (theirs[c] > 0 && clear(c - 1) && clear(c + 1) && (c < columns - 1 || columns === classes)) {
          expect(order[c], `row ${row}, place ${c}`).toBe(expectedFive.data[row * columns + c]);
          compared++;
        }
      }
      const tied = columns > 1 && Math.abs(theirs[0] - theirs[1]) <= 10 * tolerance * theirs[0];
      if (!tied) {
        expect(result.predictions[row], `row ${row}`).toBe(expectedFirst[row]);
      }
    }
    expect(got).toBeAllclose(expectedVotes.data, { maxRel: tolerance });
    expect(compared, 'places that were compared').toBeGreaterThan(rows / 2);
    const expected = (fixture.json['results'] as Record<string, Expected>)[`k=${k}`];
    expect(result.top1).toBeCloseTo(expected.top1, 2);
    expect(result.top5).toBeCloseTo(expected.top5, 2);
    expect((100 * amongVoted) / rows).toBeCloseTo(expected.top5_counting_only_classes_with_votes, 2);
  });

  it('gives all numbers of neighbours at once as one by one', async () => {
    const given = { trainFeatures, trainLabels, testFeatures, testLabels, classes, temperature };
    const together = await knnClassify({ ...given, k: ks });
    for (const k of ks) expect((await knnClassify({ ...given, k: [k] })).byK[k]).toEqual(together.byK[k]);
  });
});
