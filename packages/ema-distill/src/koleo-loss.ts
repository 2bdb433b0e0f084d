import { checkShape, SslError } from '@selfsup/core';
import { normalize, stopGradient } from '@selfsup/ops';
import * as tf from '@tensorflow/tfjs-core';

/** Options of {@link koleoLoss}. */
export interface KoleoOptions {
  /** Contiguous groups of rows (virtual ranks) in which neighbours are looked for; 1 by default. */
  readonly groups?: number;
  /** Added to distances, and the least norm to divide by; 1e-8 as the authors have it. */
  readonly epsilon?: number;
}

/** Default of {@link KoleoOptions.epsilon}. */
export const KOLEO_EPSILON = 1e-8;

/** Added to differences, whatever the option says: the authors' distance has an epsilon of its own. */
const DIFFERENCE_EPSILON = 1e-8;

/**
 * KoLeo, the differential entropy estimate of Kozachenko and Leonenko (Sablayrolles et al. 2019; DINOv2's `KoLeoLoss`):
 * minus the mean log distance from every unit-length feature to its nearest neighbour, which spreads features out. The
 * gradient flows through both members of a pair, not through the choice of the neighbour. Finite for twins.
 * DINOv2 takes the student backbone's CLS tokens, each global crop on its own, and sums over the crops.
 *
 * @param features - `[B, D]`, float32, before the head, any length.
 * @returns float32 scalar, the mean over groups
 * @throws SslError `BAD_OPTION` if groups do not divide B or hold a single row, which has no neighbour
 */
export function koleoLoss(features: tf.Tensor, { groups = 1, epsilon = KOLEO_EPSILON }: KoleoOptions = {}): tf.Scalar {
  const { B, D } = checkShape('ema-distill.koleoLoss', 'features', features, ['B', 'D']);
  checkGroups(B, groups);
  return tf.tidy(() => {
    const unit = tf.reshape(normalize(features, { epsilon }), [groups, B / groups, D]);
    const neighbours = tf.matMul(nearestNeighbours(unit), unit); // [groups, rows, D]
    const difference = tf.add(tf.sub(unit, neighbours), DIFFERENCE_EPSILON);
    const distances = tf.sqrt(tf.sum(tf.square(difference), -1));
    return tf.neg(tf.mean<tf.Scalar>(tf.log(tf.add(distances, epsilon))));
  });
}

/**
 * One-hot rows `[groups, rows, rows]` that pick each row's nearest neighbour. Picking is a small matrix product, whose
 * gradient every engine has.
 */
function nearestNeighbours(unit: tf.Tensor): tf.Tensor {
  const [, rows] = unit.shape;
  const constant = stopGradient(unit);
  const row = tf.range(0, rows, 1, 'int32');
  const self = tf.equal(tf.reshape(row, [rows, 1]), row);
  // As the authors do it: -1, not minus infinity, stands on the diagonal.
  const similarities = tf.where(self, -1, tf.matMul(constant, constant, false, true));
  return tf.oneHot(tf.argMax(similarities, -1), rows, 1, 0, 'float32');
}

function checkGroups(rows: number, groups: number): void {
  if (Number.isInteger(groups) && groups > 0 && rows % groups === 0 && rows / groups >= 2) return;
  throw new SslError('BAD_OPTION', {
    where: 'ema-distill.koleoLoss',
    expected: 'whole groups of at least two rows',
    got: `${rows} rows in ${groups} groups`,
    fix: 'use a larger batch or fewer groups: a single row has no neighbour',
    details: { rows, groups },
  });
}
