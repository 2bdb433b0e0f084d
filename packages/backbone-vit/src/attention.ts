import { attention, linear, softmax } from '@selfsup/ops';
import * as tf from '@tensorflow/tfjs-core';
import type { VitConfig } from './config.js';
import type { VitParameters } from './parameters.js';

/** Queries, keys and values, `[B, H, N, d]` each. */
interface QueriesKeysValues {
  readonly q: tf.Tensor4D;
  readonly k: tf.Tensor4D;
  readonly v: tf.Tensor4D;
}

/** Which tokens a block is computed for: all, or the CLS token alone (it still attends to all). */
export type Outputs = 'all' | 'cls';

/** The first token. */
export function clsOf(x: tf.Tensor3D): tf.Tensor3D {
  return tf.slice(x, [0, 0, 0], [-1, 1, -1]);
}

/**
 * Projections of the tokens to queries, keys and values, three products: slicing the weight costs less than slicing
 * the activations, forward and even more so backward.
 *
 * @param x - `[B, T, D]`
 * @param name - prefix of the attention's parameters, e.g. `blocks.0.attn`
 */
export function qkv(
  x: tf.Tensor3D,
  parameters: VitParameters,
  name: string,
  { heads, qkvBias }: VitConfig,
  outputs: Outputs,
): QueriesKeysValues {
  const weights = tf.split(parameters[`${name}.qkv.weight`], 3, 0);
  const biases = qkvBias ? tf.split(parameters[`${name}.qkv.bias`], 3, 0) : [];
  const project = (tokens: tf.Tensor3D, part: number): tf.Tensor4D => {
    const [batch, count, width] = tokens.shape;
    const y = linear(tokens, weights[part], qkvBias ? biases[part] : undefined);
    return tf.transpose(tf.reshape(y, [batch, count, heads, width / heads]), [0, 2, 1, 3]); // [B, H, N, d]
  };
  return { q: project(outputs === 'cls' ? clsOf(x) : x, 0), k: project(x, 1), v: project(x, 2) };
}

/** 1 / sqrt(d). */
function scaleOf({ width, heads }: VitConfig): number {
  return 1 / Math.sqrt(width / heads);
}

/**
 * Multi-head self-attention with its output projection.
 *
 * @param x - normed tokens `[B, T, D]`
 * @returns `[B, T, D]`, or `[B, 1, D]` for the CLS token alone
 */
export function selfAttention(
  x: tf.Tensor3D,
  parameters: VitParameters,
  name: string,
  config: VitConfig,
  outputs: Outputs,
): tf.Tensor3D {
  const { q, k, v } = qkv(x, parameters, name, config, outputs);
  const mixed = tf.transpose(attention(q, k, v, { scale: scaleOf(config) }), [0, 2, 1, 3]); // [B, N, H, d]
  const flat = tf.reshape(mixed, [x.shape[0], outputs === 'cls' ? 1 : x.shape[1], config.width]); // [B, N, D]
  return linear(flat, parameters[`${name}.proj.weight`], parameters[`${name}.proj.bias`]) as tf.Tensor3D;
}

/** Attention weights of normed tokens, `[B, H, T, T]`, rows sum to 1. */
export function attentionWeights(
  x: tf.Tensor3D,
  parameters: VitParameters,
  name: string,
  config: VitConfig,
): tf.Tensor4D {
  const { q, k } = qkv(x, parameters, name, config, 'all');
  return softmax<tf.Tensor4D>(tf.matMul(tf.mul(q, scaleOf(config)), k, false, true));
}
