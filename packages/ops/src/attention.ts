import { checkShape } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { runComposite } from './composite.js';
import { withGradient } from './with-gradient.js';

/** Options of {@link attention}. */
export interface AttentionOptions {
  /** Factor of the scores; 1 / sqrt(d) by default. */
  readonly scale?: number;
}

/**
 * Scaled dot-product attention, softmax(scale q kT) v (Vaswani et al., 2017, eq. 1). Its gradient keeps q, k, v and the
 * result and computes the `[B, H, N, M]` weights again.
 *
 * @param q - Queries `[B, H, N, d]`, float32.
 * @param k - Keys `[B, H, M, d]`, float32.
 * @param v - Values `[B, H, M, d]`, float32.
 * @returns `[B, H, N, d]`, float32
 * @throws SslError `SHAPE_MISMATCH`
 */
export function attention(
  q: tf.Tensor4D,
  k: tf.Tensor4D,
  v: tf.Tensor4D,
  { scale = 1 / Math.sqrt(q.shape[3]) }: AttentionOptions = {},
): tf.Tensor4D {
  const sizes = checkShape('ops.attention', 'q', q, ['B', 'H', 'N', 'd']);
  checkShape('ops.attention', 'k', k, ['B', 'H', 'M', 'd'], sizes);
  checkShape('ops.attention', 'v', v, ['B', 'H', 'M', 'd'], sizes);
  return withGradient<tf.Tensor4D>([q, k, v], () => {
    const [o] = runComposite('Selfsup.Attention', { q, k, v }, { scale }, () => [
      tf.matMul(weightsOf(tf.mul(q, scale), k), v),
    ]);
    return {
      value: o as tf.Tensor4D,
      saved: [q, k, v, o],
      gradient: (dout, [q, k, v, o]) => attentionGrad(dout, q, k, v, o, scale),
    };
  });
}

/** Attention weights of queries that are scaled already, `[B, H, N, M]`. */
function weightsOf(scaled: tf.Tensor, k: tf.Tensor): tf.Tensor {
  return tf.softmax(tf.matMul(scaled, k, false, true));
}

function attentionGrad(
  dout: tf.Tensor,
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  o: tf.Tensor,
  scale: number,
): [dq: tf.Tensor, dk: tf.Tensor, dv: tf.Tensor] {
  const [dq, dk, dv] = runComposite('Selfsup.AttentionGrad', { do: dout, q, k, v, o }, { scale }, () => {
    const scaled = tf.mul(q, scale);
    const weights = weightsOf(scaled, k); // [B, H, N, M]
    // Row sums of weights * dweights, taken on the narrow side: they equal those of o * do.
    const rowSums = tf.sum(tf.mul(dout, o), -1, true); // [B, H, N, 1]
    const dscores = tf.mul(weights, tf.sub(tf.matMul(dout, v, false, true), rowSums));
    return [
      tf.mul(tf.matMul(dscores, k), scale),
      tf.matMul(dscores, scaled, true, false),
      tf.matMul(weights, dout, true, false),
    ];
  });
  return [dq, dk, dv];
}
