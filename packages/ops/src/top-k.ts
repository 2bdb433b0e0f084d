import { SslError, formatShape } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { runComposite } from './composite.js';

/** What {@link topK} finds. */
export interface TopK {
  /** `[..., k]`, descending. */
  readonly values: tf.Tensor;
  /** `[..., k]`, int32, places in the last axis. */
  readonly indices: tf.Tensor;
}

/**
 * The k largest entries of the last axis in descending order; of equal ones the lower index comes first. Has no
 * gradient: gather with the indices where one is needed.
 *
 * @param x - `[..., N]`, float32, without NaN.
 * @param k - At least 1, at most N.
 * @throws SslError `BAD_OPTION` for a k outside 1..N
 */
export function topK(x: tf.Tensor, k: number): TopK {
  const n = x.shape[x.rank - 1] ?? 0;
  if (!Number.isInteger(k) || k < 1 || k > n) {
    throw new SslError('BAD_OPTION', {
      where: 'ops.topK',
      expected: `k between 1 and ${n}, the last dimension of x`,
      got: `k = ${k} for x of shape ${formatShape(x.shape)}`,
      fix: 'pass a smaller k or a longer last axis',
      details: { k, shape: [...x.shape] },
    });
  }
  const [values, indices] = runComposite('Selfsup.TopK', { x }, { k }, () => {
    const found = tf.topk(x, k, true);
    return [found.values, found.indices];
  });
  return { values, indices };
}
