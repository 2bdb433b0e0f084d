import { pickNamed, SslError } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';

/**
 * Refuses groups that do not divide the batch.
 *
 * @throws SslError `BAD_OPTION`
 */
function checkGroups(where: string, batchSize: number, groups: number): void {
  if (Number.isInteger(groups) && groups >= 1 && batchSize % groups === 0) return;
  throw new SslError('BAD_OPTION', {
    where: `loss-coding-rate.${where}`,
    expected: `groups to divide the ${batchSize} images of the batch`,
    got: `${groups}`,
    fix: `use as many groups as divide ${batchSize}, or a batch that is a multiple of the groups`,
    details: { batchSize, groups },
  });
}

/** Where the covariance of the coding rate is taken: in each group on its own, or over all groups together. */
export type CovarianceScope = 'per-group' | 'all-groups';

const SETS: Readonly<Record<CovarianceScope, (groups: number) => number>> = {
  'per-group': (groups) => groups,
  'all-groups': () => 1,
};

/**
 * Number of sets with a coding rate of their own.
 *
 * @throws SslError `BAD_OPTION` for groups that do not divide the batch, `UNKNOWN_NAME` for an unknown scope
 */
export function setsOf(where: string, batchSize: number, groups: number, covariance: CovarianceScope): number {
  checkGroups(where, batchSize, groups);
  return pickNamed(`loss-coding-rate.${where}`, 'covariance', covariance, SETS)(groups);
}

/** Splits a joint batch `[V, B, d]`, image = group * groupSize + place in the group, into `[V, groups, B / groups, d]`. */
export function splitGroups(x: tf.Tensor, groups: number): tf.Tensor4D {
  const [views, batch, width] = x.shape;
  return tf.reshape(x, [views, groups, batch / groups, width]);
}
