import { checkShape, SslError } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { checkScalar, type ScalarLike } from './scalars.js';

/** Iterations of the authors. */
export const SINKHORN_ITERATIONS = 3;

/** Smallest sum to divide by: a prototype or row without any weight stays without. */
const SMALLEST_SUM = 1e-37;

/** What Sinkhorn-Knopp on all rows comes down to for one of them. A type alias: a record of tensors for `tf.tidy`. */
export type SinkhornFactors = {
  /** `[1, K]`: what every prototype's column is scaled by. */
  readonly prototypes: tf.Tensor;
  /** Scalar: the largest logit of all rows, which keeps exponentials in range and changes nothing else. */
  readonly largest: tf.Tensor;
};

/** Rows that take part, and factors found elsewhere. */
interface SinkhornRows {
  /**
   * `[M]`, float32 or bool: rows with 0 are padding, take no part and get targets of 0. Every row counts by default.
   */
  readonly rows?: tf.Tensor;
}

/** Options of {@link sinkhornTargets}. */
export interface SinkhornOptions extends SinkhornRows {
  /** {@link SINKHORN_ITERATIONS} by default. */
  readonly iterations?: number;
  /** Factors of more rows than these, see {@link sinkhornSums}: then rows only have to be scaled to sum to 1. */
  readonly factors?: SinkhornFactors;
}

/** Logits as `[M, K]`, and which rows count, `[M, 1]` of 0 and 1. */
function flattened(
  where: string,
  logits: tf.Tensor,
  temperature: ScalarLike,
  rows: tf.Tensor | undefined,
): { flat: tf.Tensor; counts: tf.Tensor; width: number } {
  const { K } = checkShape(where, 'logits', logits, ['...', 'K']);
  const M = logits.size / K;
  if (rows !== undefined) checkShape(where, 'rows', rows, [M]);
  checkScalar(where, 'temperature', temperature);
  return {
    flat: tf.reshape(logits, [M, K]),
    counts: rows === undefined ? tf.ones([M, 1]) : tf.cast(tf.greater(tf.reshape(rows, [M, 1]), 0), 'float32'),
    width: K,
  };
}

/** The largest logit of the rows that count, a scalar. */
function largestLogit(logits: tf.Tensor, counts: tf.Tensor): tf.Tensor {
  const perRow = tf.max(logits, 1, true); // [M, 1]
  return tf.max(tf.where(tf.greater(counts, 0), perRow, tf.min(perRow)));
}

/** exp((logits - largest) / temperature); padding takes its own largest logit, so that nothing overflows. */
function exponentials(logits: tf.Tensor, counts: tf.Tensor, largest: tf.Tensor, temperature: ScalarLike): tf.Tensor {
  const shift = tf.where(tf.greater(counts, 0), tf.mul(tf.onesLike(counts), largest), tf.max(logits, 1, true));
  return tf.exp(tf.div(tf.sub(logits, shift), temperature));
}

function inverse(sums: tf.Tensor): tf.Tensor {
  return tf.div(1, tf.maximum(sums, SMALLEST_SUM));
}

/** What every row has to be scaled by to sum to 1, `[M, 1]`. */
function rowFactorsOf(weights: tf.Tensor, counts: tf.Tensor, prototypeFactors: tf.Tensor): tf.Tensor {
  return tf.mul(counts, inverse(tf.matMul(weights, prototypeFactors, false, true)));
}

/**
 * Targets by Sinkhorn-Knopp (SwAV, Caron et al. 2020; DINOv2's `sinkhorn_knopp_teacher`): exp(logits / temperature)
 * scaled in turns so that every prototype gets the same share and every row sums to 1. Over all rows given, which in
 * the published recipes are those of all groups.
 *
 * As row and column factors around one exponential: an iteration is two matrix-vector products and writes nothing of
 * the logits' size. The largest logit is subtracted first, which changes nothing but cannot overflow.
 *
 * @param logits - `[M, K]` or `[G, B, K]`, float32, of the teacher.
 * @param temperature - Scalar greater than 0.
 * @returns the shape of the logits, float32; rows that count sum to 1
 * @throws SslError `SHAPE_MISMATCH`, `BAD_OPTION`
 */
export function sinkhornTargets(
  logits: tf.Tensor,
  temperature: ScalarLike,
  { iterations = SINKHORN_ITERATIONS, rows, factors }: SinkhornOptions = {},
): tf.Tensor {
  const where = 'ema-distill.sinkhornTargets';
  checkIterations(where, iterations);
  return tf.tidy(() => {
    const { flat, counts, width } = flattened(where, logits, temperature, rows);
    const weights = exponentials(flat, counts, factors?.largest ?? largestLogit(flat, counts), temperature); // [M, K]
    let prototypeFactors = factors?.prototypes ?? tf.ones([1, width]);
    let rowFactors = factors === undefined ? counts : rowFactorsOf(weights, counts, prototypeFactors); // [M, 1]
    const share = tf.div(tf.sum(counts), width); // what every prototype gets
    for (let i = 0; i < iterations && factors === undefined; i++) {
      prototypeFactors = tf.mul(share, inverse(tf.matMul(rowFactors, weights, true, false))); // [1, K]
      rowFactors = rowFactorsOf(weights, counts, prototypeFactors);
    }
    return tf.reshape(tf.mul(tf.mul(weights, prototypeFactors), rowFactors), logits.shape);
  });
}

/** What {@link sinkhornSums} finds in some of the rows. A type alias: a record of tensors for `tf.tidy`. */
export type SinkhornSums = {
  /** `[1, K]`: sum over the rows of exp((logits - largest) / temperature), scaled as asked for. */
  readonly sums: tf.Tensor2D;
  /** Scalar: the largest logit of these rows, or the one that was given. */
  readonly largest: tf.Scalar;
};

/**
 * One iteration's sums over some of the rows, for Sinkhorn-Knopp on more rows than fit in memory: the sums of all parts
 * (brought to one `largest`) give the next {@link SinkhornFactors}, share / sums with share = rows / K, and after the
 * last iteration {@link sinkhornTargets} gives each part its targets. The numbers are those of all rows at once.
 *
 * @param factors - of the iteration before; none in the first one, where rows are not scaled yet
 * @throws SslError `SHAPE_MISMATCH`
 */
export function sinkhornSums(
  logits: tf.Tensor,
  temperature: ScalarLike,
  { rows, factors }: SinkhornRows & { readonly factors?: SinkhornFactors } = {},
): SinkhornSums {
  return tf.tidy(() => {
    const { flat, counts } = flattened('ema-distill.sinkhornSums', logits, temperature, rows);
    const largest = factors?.largest ?? largestLogit(flat, counts);
    const weights = exponentials(flat, counts, largest, temperature);
    const rowFactors = factors === undefined ? counts : rowFactorsOf(weights, counts, factors.prototypes);
    return {
      sums: tf.matMul(rowFactors, weights, true, false) as tf.Tensor2D,
      largest: tf.clone(largest) as tf.Scalar,
    };
  });
}

/** {@link SinkhornSums} of a part, on the host, and how many of its rows count. */
export interface PartOfSinkhornSums {
  readonly sums: Float32Array;
  readonly largest: number;
  readonly rows: number;
}

/**
 * The next {@link SinkhornFactors} from the sums of all parts, in float64.
 *
 * @param temperature - the one of the sums
 */
export function joinSinkhornSums(
  parts: readonly PartOfSinkhornSums[],
  temperature: number,
): { readonly prototypes: Float32Array; readonly largest: number } {
  // A part of padding alone says nothing about the largest logit.
  const counted = parts.filter(({ rows }) => rows > 0);
  const largest = counted.reduce((most, part) => Math.max(most, part.largest), -Infinity);
  const width = parts[0].sums.length;
  if (counted.length === 0) return { prototypes: new Float32Array(width), largest: 0 };
  const scales = counted.map((part) => Math.exp((part.largest - largest) / temperature));
  const share = counted.reduce((sum, { rows }) => sum + rows, 0) / width;
  const prototypes = Float32Array.from({ length: width }, (_, k) => {
    const sum = counted.reduce((total, { sums }, i) => total + sums[k] * scales[i], 0);
    return share / Math.max(sum, SMALLEST_SUM);
  });
  return { prototypes, largest };
}

function checkIterations(where: string, iterations: number): void {
  if (Number.isInteger(iterations) && iterations > 0) return;
  throw new SslError('BAD_OPTION', {
    where,
    expected: 'at least one iteration',
    got: `${iterations}`,
    fix: 'pass a positive whole number; the authors use 3',
    details: { iterations },
  });
}
