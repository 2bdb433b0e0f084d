import { checkShape } from '@selfsup/core';
import { softmax, withGradient } from '@selfsup/ops';
import * as tf from '@tensorflow/tfjs-core';
import { checkScalar, type ScalarLike } from './scalars.js';

/**
 * Cross entropy of every student crop against the targets of every teacher crop, averaged over the images:
 * entry (v, g) is mean_b -sum_k targets[g, b, k] log softmax(student[v, b] / temperature)_k.
 *
 * In the form logsumexp - sum_k q_k s_k, whose second part is one matrix product over images and prototypes for all
 * pairs. Neither log-probabilities nor a tensor per pair is made; kept for the gradient are the student's probabilities
 * and the targets. The gradient reaches the student alone.
 *
 * @param student - `[C, B, K]`, float32 logits.
 * @param targets - `[G, B, K]`, float32 distributions, see {@link softmaxTargets} and {@link sinkhornTargets}.
 * @param temperature - Scalar greater than 0.
 * @returns `[C, G]`, float32, at least the entropy of the targets
 * @throws SslError `SHAPE_MISMATCH`
 */
export function pairwiseCrossEntropy(student: tf.Tensor, targets: tf.Tensor, temperature: ScalarLike): tf.Tensor2D {
  const where = 'ema-distill.pairwiseCrossEntropy';
  const sizes = checkShape(where, 'student', student, ['C', 'B', 'K']);
  const { C, B, K } = checkShape(where, 'targets', targets, ['G', 'B', 'K'], sizes);
  checkScalar(where, 'temperature', temperature);
  const flat = (x: tf.Tensor): tf.Tensor => tf.reshape(x, [x.shape[0], B * K]);
  return withGradient<tf.Tensor2D>([student], () => {
    const { scaled, probabilities, logSumExp } = tempered(student, temperature);
    const chosen = tf.matMul(flat(scaled), flat(targets), false, true); // [C, G], summed over images
    const value = tf.sub(tf.mean(logSumExp, 1, true), tf.div(chosen, B)) as tf.Tensor2D;
    return {
      value,
      saved: [probabilities, targets, ...kept(temperature)],
      gradient: (dy, [probabilities, targets, ...rest]) => {
        const perLogit = tf.div(tf.div(dy, B), restored(temperature, rest)); // [C, G]
        const expected = tf.mul(probabilities, tf.reshape(tf.sum(perLogit, 1), [C, 1, 1]));
        return [tf.sub(expected, tf.reshape(tf.matMul(perLogit, flat(targets)), [C, B, K]))];
      },
    };
  });
}

/**
 * Cross entropy of each row with its own target, -sum_k targets[m, k] log softmax(student[m] / temperature)_k; see
 * {@link pairwiseCrossEntropy} for how. The gradient reaches the student alone.
 *
 * @param student - `[M, K]`, float32 logits.
 * @param targets - `[M, K]`, float32 distributions.
 * @param temperature - Scalar greater than 0.
 * @returns `[M]`, float32
 * @throws SslError `SHAPE_MISMATCH`
 */
export function rowCrossEntropy(student: tf.Tensor, targets: tf.Tensor, temperature: ScalarLike): tf.Tensor1D {
  const where = 'ema-distill.rowCrossEntropy';
  const { M, K } = checkShape(where, 'student', student, ['M', 'K']);
  checkShape(where, 'targets', targets, [M, K]);
  checkScalar(where, 'temperature', temperature);
  return withGradient<tf.Tensor1D>([student], () => {
    const { scaled, probabilities, logSumExp } = tempered(student, temperature);
    // M small products instead of an element-wise one: no temporary of the logits' size.
    const chosen = tf.matMul(tf.reshape(scaled, [M, 1, K]), tf.reshape(targets, [M, K, 1]));
    const value = tf.sub(logSumExp, tf.reshape(chosen, [M])) as tf.Tensor1D;
    return {
      value,
      saved: [probabilities, targets, ...kept(temperature)],
      gradient: (dy, [probabilities, targets, ...rest]) => {
        const perLogit = tf.reshape(tf.div(dy, restored(temperature, rest)), [M, 1]);
        return [tf.mul(tf.sub(probabilities, targets), perLogit)];
      },
    };
  });
}

interface Tempered {
  readonly scaled: tf.Tensor;
  readonly probabilities: tf.Tensor;
  /** Without the last axis. */
  readonly logSumExp: tf.Tensor;
}

/** The largest probability of a row is 1 / sum_k exp(s_k - max s), which gives the log of the sum without another pass. */
function tempered(logits: tf.Tensor, temperature: ScalarLike): Tempered {
  const scaled = typeof temperature === 'number' ? tf.mul(logits, 1 / temperature) : tf.div(logits, temperature);
  const probabilities = softmax(scaled);
  const logSumExp = tf.sub(tf.max(scaled, -1), tf.log(tf.max(probabilities, -1)));
  return { scaled, probabilities, logSumExp };
}

function kept(temperature: ScalarLike): tf.Tensor[] {
  return typeof temperature === 'number' ? [] : [temperature];
}

function restored(temperature: ScalarLike, rest: readonly tf.Tensor[]): ScalarLike {
  return typeof temperature === 'number' ? temperature : rest[0];
}
