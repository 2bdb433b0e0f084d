import { checkShape } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { runComposite } from './composite.js';
import { withGradient } from './with-gradient.js';

/**
 * Product of two matrices whose factors an engine may round: with `precision: 'bf16'` they go to bfloat16, here and in
 * the gradient, and sums are taken in float32. `tf.matMul` is never rounded, so a loss or a factorisation written with it
 * keeps float32's digits whatever the engine is told.
 *
 * @param a - `[M, K]`, or `[K, M]` with `transposeA`, float32.
 * @param b - `[K, N]`, or `[N, K]` with `transposeB`, float32.
 * @returns `[M, N]`, float32
 * @throws SslError `SHAPE_MISMATCH`
 */
export function matrixProduct(a: tf.Tensor, b: tf.Tensor, transposeA = false, transposeB = false): tf.Tensor2D {
  const sizes = checkShape('ops.matrixProduct', 'a', a, transposeA ? ['K', 'M'] : ['M', 'K']);
  checkShape('ops.matrixProduct', 'b', b, transposeB ? ['N', 'K'] : ['K', 'N'], sizes);
  return withGradient<tf.Tensor2D>([a, b], () => ({
    value: product(a, b, transposeA, transposeB),
    saved: [a, b],
    gradient: (dy, [a, b]) => [
      transposeA ? product(b, dy, transposeB, true) : product(dy, b, false, !transposeB),
      transposeB ? product(dy, a, true, transposeA) : product(a, dy, !transposeA, false),
    ],
  }));
}

function product(a: tf.Tensor, b: tf.Tensor, transposeA: boolean, transposeB: boolean): tf.Tensor2D {
  const [y] = runComposite('Selfsup.MatMul', { a, b }, { transposeA, transposeB }, () => [
    tf.matMul(a, b, transposeA, transposeB),
  ]);
  return y as tf.Tensor2D;
}
