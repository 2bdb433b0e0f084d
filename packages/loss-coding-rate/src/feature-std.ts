import { checkShape, SslError } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';

/**
 * Standard deviation over the batch, averaged over the entries of a feature: a monitor of collapse that can be part of a
 * step. About 1 / sqrt(d) for unit rows that are spread out, 0 at collapse. The sample standard deviation (divided by
 * B - 1), as in `torch.std`.
 *
 * @param features - `[..., B, d]`, float32, B at least 2; take unit rows. Leading dimensions are averaged over.
 * @returns a scalar, at least 0; not made for gradients
 * @throws SslError `SHAPE_MISMATCH`
 */
export function featureStd(features: tf.Tensor): tf.Scalar {
  const { B } = checkShape('loss-coding-rate.featureStd', 'features', features, ['...', 'B', 'd']);
  if (B < 2) {
    throw new SslError('SHAPE_MISMATCH', {
      where: 'loss-coding-rate.featureStd',
      expected: 'features [..., B, d] with B >= 2',
      got: `B = ${B}`,
      fix: 'pass the features of at least two images',
      details: { shape: [...features.shape] },
    });
  }
  return tf.tidy(() => {
    const centred = tf.sub(features, tf.mean(features, -2, true));
    return tf.mean(tf.sqrt(tf.div(tf.sum(tf.mul(centred, centred), -2), B - 1)));
  });
}
