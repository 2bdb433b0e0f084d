import * as tf from '@tensorflow/tfjs-core';

/** A value together with its hand-written gradient. */
export interface Differentiated<T extends tf.Tensor> {
  readonly value: T;
  /** What the gradient needs; kept until it ran. */
  readonly saved: readonly tf.Tensor[];
  /** From the gradient of `value` and the saved tensors to one gradient per input, in their order and shapes. */
  readonly gradient: (dy: T, saved: readonly tf.Tensor[]) => tf.Tensor[];
}

/**
 * `tf.customGrad` for one call, with types: evaluates a function whose gradient is written by hand and keeps only the
 * tensors it names. The gradient must reach tensors through `saved` alone, since others are gone by then.
 *
 * @param inputs - Tensors that gradients flow to; never disposed.
 * @param f - Computes value and gradient; intermediate tensors are tidied.
 *
 * @example
 * const square = (x: tf.Tensor) =>
 *   withGradient([x], () => ({
 *     value: tf.mul(x, x),
 *     saved: [x],
 *     gradient: (dy, [x]) => [tf.mul(dy, tf.mul(x, 2))],
 *   }));
 */
export function withGradient<T extends tf.Tensor>(inputs: readonly tf.Tensor[], f: () => Differentiated<T>): T {
  const run = tf.customGrad<T>((...args) => {
    const save = args[args.length - 1] as tf.GradSaveFunc;
    const { value, saved, gradient } = f();
    save([...saved]);
    return { value, gradFunc: (dy, kept) => gradient(dy, kept) };
  });
  return run(...inputs);
}

/**
 * The same values, cut off from the gradient: what it came from gets zero.
 *
 * @param x - Any tensor.
 * @returns a tensor of the same shape and dtype
 */
export function stopGradient<T extends tf.Tensor>(x: T): T {
  return withGradient([x], () => ({ value: tf.clone(x), saved: [], gradient: (dy) => [tf.zerosLike(dy)] }));
}
