import * as tf from '@tensorflow/tfjs-core';

/**
 * Kernels that a backend may bring itself, by composite name of the graph. Input and attribute names are those of the
 * composite table in `@selfsup/compile`.
 */
export const COMPOSITE_KERNELS = {
  softmax: 'Selfsup.Softmax',
  softmax_grad: 'Selfsup.SoftmaxGrad',
  gelu: 'Selfsup.Gelu',
  gelu_grad: 'Selfsup.GeluGrad',
  layer_norm: 'Selfsup.LayerNorm',
  layer_norm_grad: 'Selfsup.LayerNormGrad',
  attention: 'Selfsup.Attention',
  attention_grad: 'Selfsup.AttentionGrad',
  cholesky: 'Selfsup.Cholesky',
  triangular_solve: 'Selfsup.TriangularSolve',
  top_k: 'Selfsup.TopK',
} as const;

/** The kernel of `matrixProduct`: no composite of the graph but a matrix product with a mark. */
export const PRODUCT_KERNEL = 'Selfsup.MatMul';

/** Name of a kernel of ours, e.g. `Selfsup.Gelu`. */
export type CompositeKernel = (typeof COMPOSITE_KERNELS)[keyof typeof COMPOSITE_KERNELS] | typeof PRODUCT_KERNEL;

/**
 * Runs a composite: the kernel of that name if the current backend has one, else its definition in plain tfjs
 * functions. This is the only door between these functions and an engine: a backend that registers
 * `Selfsup.Cholesky` runs (or records) it whole, any other one runs (or records) the plain body.
 *
 * Gradients are no business of a composite: call it inside {@link withGradient}, whose gradient may call other
 * composites.
 *
 * @param kernelName - One of {@link COMPOSITE_KERNELS}, or {@link PRODUCT_KERNEL}.
 * @param inputs - Tensors by the names of the composite table, in its order.
 * @param attrs - Attributes by the names of that table; plain numbers and booleans.
 * @param body - The same in plain tfjs functions; returns all outputs in the table's order. Run in a `tf.tidy`.
 * @returns the outputs, owned by the caller
 *
 * @example
 * const [y] = runComposite('Selfsup.Gelu', { x }, {}, () => [tf.mul(x, cdf(x))]);
 */
export function runComposite(
  kernelName: CompositeKernel,
  inputs: Readonly<Record<string, tf.Tensor>>,
  attrs: Readonly<Record<string, number | boolean>>,
  body: () => tf.Tensor[],
): tf.Tensor[] {
  if (tf.getKernel(kernelName, tf.getBackend()) === undefined) return tf.tidy(body);
  const outputs: tf.Tensor | tf.Tensor[] = tf.engine().runKernel(kernelName, { ...inputs }, { ...attrs });
  return Array.isArray(outputs) ? outputs : [outputs];
}
