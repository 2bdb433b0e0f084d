import { gelu, layerNorm, linear } from '@selfsup/ops';
import * as tf from '@tensorflow/tfjs-core';
import { clsOf, selfAttention, type Outputs } from './attention.js';
import type { VitConfig } from './config.js';
import { addBranch, type BlockDrop } from './drop-path.js';
import type { VitParameters } from './parameters.js';

/** Layer norm of the last axis with the named parameters. */
export function norm(
  x: tf.Tensor3D,
  parameters: VitParameters,
  name: string,
  { layerNormEps }: VitConfig,
): tf.Tensor3D {
  return layerNorm(x, parameters[`${name}.weight`], parameters[`${name}.bias`], layerNormEps);
}

function layerScale(x: tf.Tensor3D, parameters: VitParameters, name: string, config: VitConfig): tf.Tensor3D {
  return config.layerScale === undefined ? x : tf.mul(x, parameters[`${name}.gamma`]);
}

/** Feed-forward part: fc1, gelu, fc2; or w12 split in halves a and b, SiLU(a) * b, w3. */
function feedForward(x: tf.Tensor3D, parameters: VitParameters, name: string, { ffn }: VitConfig): tf.Tensor3D {
  const project = (y: tf.Tensor, layer: string): tf.Tensor =>
    linear(y, parameters[`${name}.${layer}.weight`], parameters[`${name}.${layer}.bias`]);
  if (ffn === 'mlp') return project(gelu(project(x, 'fc1')), 'fc2') as tf.Tensor3D;
  const [a, b] = tf.split(project(x, 'w12'), 2, -1);
  return project(tf.mul(tf.mul(a, tf.sigmoid(a)), b), 'w3') as tf.Tensor3D;
}

/**
 * One pre-norm transformer block: x + Attention(LN(x)), then x + FFN(LN(x)), each with LayerScale and stochastic depth.
 *
 * @param x - `[B, T, D]`
 * @param outputs - `cls` computes the block for the CLS token alone: exact, and nearly free as a last block
 * @returns `[B, T, D]` or `[B, 1, D]`
 */
export function runBlock(
  x: tf.Tensor3D,
  parameters: VitParameters,
  index: number,
  config: VitConfig,
  drop: BlockDrop | undefined,
  outputs: Outputs = 'all',
): tf.Tensor3D {
  const at = `blocks.${index}`;
  const attend = (rows: tf.Tensor3D): tf.Tensor3D => {
    const y = selfAttention(norm(rows, parameters, `${at}.norm1`, config), parameters, `${at}.attn`, config, outputs);
    return layerScale(y, parameters, `${at}.ls1`, config);
  };
  const feed = (rows: tf.Tensor3D): tf.Tensor3D => {
    const y = feedForward(norm(rows, parameters, `${at}.norm2`, config), parameters, `${at}.mlp`, config);
    return layerScale(y, parameters, `${at}.ls2`, config);
  };
  const attended = addBranch(outputs === 'cls' ? clsOf(x) : x, x, attend, 'attention', drop);
  return addBranch(attended, attended, feed, 'mlp', drop);
}
