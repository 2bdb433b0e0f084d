import * as tf from '@tensorflow/tfjs-core';

/**
 * The product a times b transposed: `a [rows, width]`, `b [columns, width]` to `[rows, columns]`, all float32 and
 * row-major. Hand in another one to run on an engine.
 */
export type MatrixProduct = (
  a: Float32Array,
  b: Float32Array,
  sizes: { readonly rows: number; readonly columns: number; readonly width: number },
) => Float32Array | Promise<Float32Array>;

/** {@link MatrixProduct} on the current tfjs backend. */
export const tfjsMatrixProduct: MatrixProduct = async (a, b, { rows, columns, width }) => {
  const product = tf.tidy(() =>
    tf.matMul(tf.tensor2d(a, [rows, width]), tf.tensor2d(b, [columns, width]), false, true),
  );
  try {
    return (await product.data()) as Float32Array;
  } finally {
    product.dispose();
  }
};
