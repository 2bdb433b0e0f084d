import { SslError } from '@selfsup/core';
import { CholeskyDecomposition, Matrix } from 'ml-matrix';
import { bestClass, rankOfClass } from './class-scores.js';
import { type Features, featureSizes } from './features.js';
import { checkLabels } from './labels.js';
import { prepareRows, type Rows } from './rows.js';

/** Default strength of the penalty. */
export const DEFAULT_RIDGE = 0.01;

/** Frozen features with labels. */
export interface RidgeProbeOptions {
  /** `[trainRows, width]` */
  readonly trainFeatures: Features;
  /** Class of every train row, 0 to `classes - 1`. */
  readonly trainLabels: ArrayLike<number>;
  /** `[testRows, width]` */
  readonly testFeatures: Features;
  readonly testLabels: ArrayLike<number>;
  /** Number of classes. */
  readonly classes: number;
  /** Penalty over the variance of a feature, greater than 0. Default {@link DEFAULT_RIDGE}. */
  readonly ridge?: number;
}

/** What {@link ridgeProbe} finds. */
export interface RidgeProbeResult {
  /** Percent of test rows whose class scores highest. */
  readonly top1: number;
  /** Percent of test rows whose class is among the five highest. */
  readonly top5: number;
  readonly setting: {
    readonly ridge: number;
    readonly trainRows: number;
    readonly testRows: number;
    readonly width: number;
    readonly classes: number;
  };
  /** Predicted class of every test row. */
  readonly predictions: Int32Array;
}

/** Mean and inverse standard deviation of every column; 0 for a column that is constant. */
function columnStatistics({ data, rows, width }: Rows): { mean: Float64Array; scale: Float64Array } {
  const mean = new Float64Array(width);
  const scale = new Float64Array(width);
  for (let i = 0; i < data.length; i++) mean[i % width] += data[i] / rows;
  for (let i = 0; i < data.length; i++) scale[i % width] += (data[i] - mean[i % width]) ** 2 / rows;
  return {
    mean,
    // What rounding leaves of a constant column is no variance.
    scale: scale.map((variance, c) => (variance > (1e-12 * mean[c]) ** 2 ? 1 / Math.sqrt(variance) : 0)),
  };
}

function standardised({ data, rows, width }: Rows, { mean, scale }: ReturnType<typeof columnStatistics>): Matrix {
  const matrix = new Matrix(rows, width);
  for (let i = 0; i < rows; i++) {
    for (let c = 0; c < width; c++) matrix.set(i, c, (data[i * width + c] - mean[c]) * scale[c]);
  }
  return matrix;
}

/**
 * Weights `[width, classes]` of the ridge regression of centred targets on centred rows, by Cholesky on the smaller Gram
 * matrix: (X^T X + p I)^-1 X^T Y = X^T (X X^T + p I)^-1 Y.
 */
function ridgeWeights(x: Matrix, y: Matrix, penalty: number): Matrix {
  const transposed = x.transpose();
  // The Cholesky of ml-matrix needs nothing but a symmetric matrix.
  const solve = (gram: Matrix, right: Matrix): Matrix =>
    new CholeskyDecomposition(gram.add(Matrix.eye(gram.rows).mul(penalty))).solve(right);
  return x.rows < x.columns
    ? transposed.mmul(solve(x.mmul(transposed), y))
    : solve(transposed.mmul(x), transposed.mmul(y));
}

/**
 * Accuracy of a linear classifier in closed form: ridge regression of one-hot targets on standardised features (Hoerl &
 * Kennard 1970; as a classifier, Bishop, *Pattern Recognition and Machine Learning*, section 4.1.3), in float64 on the
 * host. The penalty is `ridge` times the number of train rows, so that neither their number nor the features' scale matters.
 *
 * When to use: to follow a run, since nothing has to be trained and a second run gives the same number. It is no
 * replacement for the logistic regression or the SGD that papers report, and usually a few points below them.
 *
 * Gotchas: features of less than one train row per dimension are fitted almost exactly; the penalty is all that keeps
 * such a classifier honest.
 *
 * @throws SslError `DATA_EMPTY` without train or test rows, `SHAPE_MISMATCH`, `BAD_DATA` for a label outside the
 * classes, `BAD_OPTION` for a ridge that is not positive, `NON_FINITE`
 *
 * @example
 * const { top1 } = ridgeProbe({ trainFeatures, trainLabels, testFeatures, testLabels, classes: 10 });
 */
export function ridgeProbe(options: RidgeProbeOptions): RidgeProbeResult {
  const where = 'eval-suite.ridgeProbe';
  const { trainFeatures, trainLabels, testFeatures, testLabels, classes, ridge = DEFAULT_RIDGE } = options;
  const train = featureSizes(where, 'trainFeatures', trainFeatures);
  const test = featureSizes(where, 'testFeatures', testFeatures);
  if (train.width !== test.width) {
    throw new SslError('SHAPE_MISMATCH', {
      where,
      expected: 'train and test features of one width',
      got: `${train.width} and ${test.width}`,
      fix: 'extract both with the same model and layer',
    });
  }
  if (!(ridge > 0 && Number.isFinite(ridge))) {
    throw new SslError('BAD_OPTION', {
      where,
      expected: 'ridge above 0',
      got: String(ridge),
      fix: `leave ridge out for ${DEFAULT_RIDGE}`,
    });
  }
  checkLabels(where, 'trainLabels', trainLabels, train.rows, classes);
  checkLabels(where, 'testLabels', testLabels, test.rows, classes);

  const trainRows = prepareRows(where, trainFeatures, 'raw');
  const statistics = columnStatistics(trainRows);
  const shares = new Float64Array(classes);
  for (let i = 0; i < train.rows; i++) shares[trainLabels[i]] += 1 / train.rows;
  const targets = new Matrix(train.rows, classes);
  for (let i = 0; i < train.rows; i++) {
    for (let c = 0; c < classes; c++) targets.set(i, c, (trainLabels[i] === c ? 1 : 0) - shares[c]);
  }
  const weights = ridgeWeights(standardised(trainRows, statistics), targets, ridge * train.rows);
  const scores = standardised(prepareRows(where, testFeatures, 'raw'), statistics).mmul(weights);

  const predictions = new Int32Array(test.rows);
  let first = 0;
  let amongFive = 0;
  for (let row = 0; row < test.rows; row++) {
    const own = Float64Array.from(scores.getRow(row), (score, c) => score + shares[c]);
    const rank = rankOfClass(own, testLabels[row]);
    if (rank === 0) first++;
    if (rank < 5) amongFive++;
    predictions[row] = bestClass(own);
  }
  return {
    top1: (100 * first) / test.rows,
    top5: (100 * amongFive) / test.rows,
    setting: { ridge, trainRows: train.rows, testRows: test.rows, width: train.width, classes },
    predictions,
  };
}
