import { SslError } from '@selfsup/core';
import { bestClass, rankOfClass } from './class-scores.js';
import { type Features, featureSizes } from './features.js';
import { checkLabels } from './labels.js';
import { nearestNeighbours, type NeighbourOptions, type Neighbours, type Similarity } from './nearest-neighbours.js';

/** Numbers of neighbours DINO reports. */
export const DEFAULT_NEIGHBOURS: readonly number[] = [10, 20, 100, 200];

/** The number of neighbours whose accuracy is the headline, as DINO advises. */
export const HEADLINE_NEIGHBOURS = 20;

/** Temperature of the votes in DINO. */
export const DEFAULT_TEMPERATURE = 0.07;

/** Frozen features with labels, and how to classify. */
export interface KnnOptions extends NeighbourOptions {
  /** `[trainRows, width]` */
  readonly trainFeatures: Features;
  /** Class of every train row, 0 to `classes - 1`. */
  readonly trainLabels: ArrayLike<number>;
  /** `[testRows, width]` */
  readonly testFeatures: Features;
  readonly testLabels: ArrayLike<number>;
  /** Number of classes. */
  readonly classes: number;
  /** Numbers of neighbours to report. Default {@link DEFAULT_NEIGHBOURS}. */
  readonly k?: readonly number[];
  /** Default {@link DEFAULT_TEMPERATURE}. */
  readonly temperature?: number;
}

/** Accuracy in percent. `neighbours` is how many voted: fewer than asked for when the train set is smaller. */
export interface KnnAccuracy {
  readonly top1: number;
  readonly top5: number;
  readonly neighbours: number;
}

/** Everything that decides the number, to be stored beside it. */
export interface KnnSetting {
  readonly similarity: Similarity;
  readonly temperature: number;
  readonly weights: 'exp(similarity / temperature)';
  readonly trainRows: number;
  readonly testRows: number;
  readonly width: number;
  readonly classes: number;
}

/** What {@link knnClassify} finds. */
export interface KnnResult {
  /** The headline's number of neighbours: 20 when asked for, else the first asked for. */
  readonly k: number;
  /** Percent of test rows whose class gets most of the votes. */
  readonly top1: number;
  /** Percent of test rows whose class is among the min(5, k) with most votes; classes without votes rank by number. */
  readonly top5: number;
  /** Accuracy by number of neighbours asked for. */
  readonly byK: Readonly<Record<string, KnnAccuracy>>;
  readonly setting: KnnSetting;
  /** Predicted class of every test row, with the headline's number of neighbours. */
  readonly predictions: Int32Array;
}

/**
 * Votes of the first `k` neighbours for every class, `[queries, classes]`: each neighbour votes for its class with
 * weight exp((similarity - best similarity) / temperature), in float64. The factor all votes of a query share is left
 * out, so that no similarity overflows.
 *
 * @param labels - Class of every row of the bank.
 */
export function neighbourVotes(
  neighbours: Neighbours,
  labels: ArrayLike<number>,
  classes: number,
  k: number = neighbours.k,
  temperature: number = DEFAULT_TEMPERATURE,
): Float64Array {
  const queries = neighbours.indices.length / neighbours.k;
  const votes = new Float64Array(queries * classes);
  for (let query = 0; query < queries; query++) {
    const base = query * neighbours.k;
    const best = neighbours.similarities[base];
    for (let i = base; i < base + Math.min(k, neighbours.k); i++) {
      const weight = Math.exp((neighbours.similarities[i] - best) / temperature);
      votes[query * classes + labels[neighbours.indices[i]]] += weight;
    }
  }
  return votes;
}

/**
 * Weighted k-nearest-neighbour accuracy of frozen features, as DINO measures it (Caron et al. 2021, `eval_knn.py`):
 * the k most similar train rows vote for their class with weight exp(similarity / temperature).
 *
 * When to use: to compare checkpoints without training anything. Report the headline (k = 20, temperature 0.07) with
 * the teacher's features of the last step.
 *
 * Gotchas: with fewer train rows than `k` all of them vote (`byK[k].neighbours` tells). With fewer than five voted
 * classes the rest of the first five are filled by class number, as in the original.
 *
 * @throws SslError `DATA_EMPTY` without train or test rows, `SHAPE_MISMATCH`, `BAD_DATA` for a label outside the
 * classes, `BAD_OPTION`, `NON_FINITE`
 *
 * @example
 * const { top1 } = await knnClassify({ trainFeatures, trainLabels, testFeatures, testLabels, classes: 10 });
 */
export async function knnClassify(options: KnnOptions): Promise<KnnResult> {
  const where = 'eval-suite.knnClassify';
  const { trainFeatures, trainLabels, testFeatures, testLabels, classes, similarity = 'cosine' } = options;
  const { k: ks = DEFAULT_NEIGHBOURS, temperature = DEFAULT_TEMPERATURE } = options;
  const train = featureSizes(where, 'trainFeatures', trainFeatures);
  const test = featureSizes(where, 'testFeatures', testFeatures);
  if (ks.length === 0 || ks.some((k) => !Number.isInteger(k) || k < 1)) {
    throw new SslError('BAD_OPTION', {
      where,
      expected: 'k, one or more positive integers',
      got: `[${ks.join(', ')}]`,
      fix: `leave k out for [${DEFAULT_NEIGHBOURS.join(', ')}]`,
    });
  }
  if (!(temperature > 0 && Number.isFinite(temperature))) {
    throw new SslError('BAD_OPTION', {
      where,
      expected: 'temperature above 0',
      got: String(temperature),
      fix: `leave temperature out for ${DEFAULT_TEMPERATURE}`,
    });
  }
  checkLabels(where, 'trainLabels', trainLabels, train.rows, classes);
  checkLabels(where, 'testLabels', testLabels, test.rows, classes);

  const neighbours = await nearestNeighbours(testFeatures, trainFeatures, Math.max(...ks), options);
  const headline = ks.includes(HEADLINE_NEIGHBOURS) ? HEADLINE_NEIGHBOURS : ks[0];
  const predictions = new Int32Array(test.rows);
  const byK: Record<string, KnnAccuracy> = {};
  for (const k of ks) {
    const votes = neighbourVotes(neighbours, trainLabels, classes, k, temperature);
    let first = 0;
    let amongFive = 0;
    for (let row = 0; row < test.rows; row++) {
      const own = votes.subarray(row * classes, (row + 1) * classes);
      const rank = rankOfClass(own, testLabels[row]);
      if (rank === 0) first++;
      // As in the original: k neighbours name at most k classes.
      if (rank < Math.min(5, k)) amongFive++;
      if (k === headline) predictions[row] = bestClass(own);
    }
    const percent = (count: number): number => (100 * count) / test.rows;
    byK[k] = { top1: percent(first), top5: percent(amongFive), neighbours: Math.min(k, neighbours.k) };
  }
  return {
    k: headline,
    top1: byK[headline].top1,
    top5: byK[headline].top5,
    byK,
    setting: {
      similarity,
      temperature,
      weights: 'exp(similarity / temperature)',
      trainRows: train.rows,
      testRows: test.rows,
      width: train.width,
      classes,
    },
    predictions,
  };
}
