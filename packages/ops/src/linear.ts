import { checkShape } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { matrixProduct } from './matrix-product.js';

/**
 * Linear map with PyTorch's weight layout: x weightT + bias, as one {@link matrixProduct} on a two-dimensional view.
 *
 * @param x - `[..., In]`, float32.
 * @param weight - `[Out, In]`, float32.
 * @param bias - `[Out]`, float32; none by default.
 * @returns `[..., Out]`, float32
 * @throws SslError `SHAPE_MISMATCH`
 */
export function linear(x: tf.Tensor, weight: tf.Tensor, bias?: tf.Tensor): tf.Tensor {
  const sizes = checkShape('ops.linear', 'x', x, ['...', 'In']);
  const { In, Out } = checkShape('ops.linear', 'weight', weight, ['Out', 'In'], sizes);
  if (bias !== undefined) checkShape('ops.linear', 'bias', bias, ['Out'], sizes);
  return tf.tidy(() => {
    const product = matrixProduct(tf.reshape(x, [x.size / In, In]), tf.reshape(weight, [Out, In]), false, true);
    const rows = bias === undefined ? product : tf.add(product, bias);
    return tf.reshape(rows, [...x.shape.slice(0, -1), Out]);
  });
}
