import { SslError, type HostTensor, type Rng, type Specs } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { attentionWeights } from './attention.js';
import { norm, runBlock } from './block.js';
import { checkVitConfig, type VitConfig } from './config.js';
import { blockDrops, type BlockDrop, type DropPathOptions } from './drop-path.js';
import { embed, patchGrid, type PatchGrid } from './embedding.js';
import { checkParameters, initialParameters, parameterSpecs, type VitParameters } from './parameters.js';

/** Tokens by what they are, float32. */
export type VitTokens = {
  /** `[B, D]`. */
  readonly cls: tf.Tensor2D;
  /** `[B, R, D]`; absent without registers. */
  readonly registers?: tf.Tensor3D;
  /** `[B, N, D]`, row-major over the grid of patches. */
  readonly patches: tf.Tensor3D;
};

/** Result of {@link Vit.apply}: tokens after the final layer norm. */
export type VitOutput = VitTokens & {
  /** The same tokens before it, if asked for. */
  readonly preNorm?: VitTokens;
};

/** Tokens of a block with the patches laid out as a picture. */
export type VitFeatureMap = Omit<VitTokens, 'patches'> & {
  /** `[B, h, w, D]`. */
  readonly patches: tf.Tensor4D;
};

export interface VitApplyOptions extends DropPathOptions {
  /** `[B, N]` float32 of 0 and 1: patches with a 1 are replaced by the mask token. */
  readonly mask?: tf.Tensor2D;
}

export interface VitLayerOptions {
  /** Whether every output passes through the final layer norm. Default true. */
  readonly norm?: boolean;
}

/** A vision transformer; holds no tensors, so there is nothing to dispose. */
export interface Vit {
  readonly config: VitConfig;
  /** Shapes of the parameters by name, without allocating anything. */
  parameterSpecs(): Specs;
  /** Start values on the host. */
  init(rng: Rng): Record<string, HostTensor>;
  /**
   * All tokens after the last block and the final norm. Nothing is dropped unless `keep` or `subsets` say so.
   *
   * @param images - `[B, H, W, C]` float32, normalised; any size of at least one patch
   */
  apply(
    parameters: VitParameters,
    images: tf.Tensor4D,
    options?: VitApplyOptions & { readonly preNorm?: boolean },
  ): VitOutput;
  /**
   * The final-normed CLS token alone, `[B, D]`: `apply(...).cls` for less work, since the last block is computed for no
   * other token.
   */
  applyCls(parameters: VitParameters, images: tf.Tensor4D, options?: VitApplyOptions): tf.Tensor2D;
  /**
   * Outputs of the last `n` blocks, or of the listed ones (0-based), oldest first.
   *
   * @throws SslError `BAD_OPTION` for blocks that do not exist
   */
  intermediateLayers(
    parameters: VitParameters,
    images: tf.Tensor4D,
    blocks: number | readonly number[],
    options?: VitLayerOptions,
  ): VitTokens[];
  /** As {@link Vit.intermediateLayers}, patches laid out as a picture. */
  featureMaps(
    parameters: VitParameters,
    images: tf.Tensor4D,
    blocks: number | readonly number[],
    options?: VitLayerOptions,
  ): VitFeatureMap[];
  /** Attention weights of the last block, `[B, heads, T, T]` with T = 1 + R + N; rows sum to 1. */
  lastSelfAttention(parameters: VitParameters, images: tf.Tensor4D): tf.Tensor4D;
}

function splitTokens(
  x: tf.Tensor3D,
  { registers, width }: VitConfig,
  map: (part: tf.Tensor3D) => tf.Tensor3D,
): VitTokens {
  const [batch, tokens] = x.shape;
  // Cut first, map after: what nobody reads is then dead code in a compiled graph.
  const part = (start: number, size: number): tf.Tensor3D => map(tf.slice(x, [0, start, 0], [batch, size, width]));
  return {
    cls: tf.reshape(part(0, 1), [batch, width]),
    ...(registers > 0 ? { registers: part(1, registers) } : {}),
    patches: part(1 + registers, tokens - 1 - registers),
  };
}

function wantedBlocks(where: string, blocks: number | readonly number[], depth: number): number[] {
  const wanted =
    typeof blocks === 'number' ? Array.from({ length: blocks }, (_, i) => depth - blocks + i) : [...blocks];
  const ok = wanted.length > 0 && wanted.every((b) => Number.isInteger(b) && b >= 0 && b < depth);
  if (!ok || new Set(wanted).size !== wanted.length) {
    throw new SslError('BAD_OPTION', {
      where,
      expected: `a number of blocks from 1 to ${depth}, or different blocks from 0 to ${depth - 1}`,
      got: JSON.stringify(blocks),
      fix: `ask for blocks of this network, which has ${depth}`,
      details: { blocks, depth },
    });
  }
  return wanted.sort((a, b) => a - b);
}

/**
 * A vision transformer with the parameter names of DINO (v1) or DINOv2 (v2); a pure description, parameters come in.
 *
 * *Source*: facebookresearch/dino `vision_transformer.py`, facebookresearch/dinov2 `dinov2/models/vision_transformer.py`.
 *
 * @throws SslError `BAD_OPTION` for an impossible configuration; `SHAPE_MISMATCH` (from the methods) for pictures or
 *   parameters that do not fit
 *
 * @example
 * const backbone = vit(vitConfig('vit_tiny', { imageSize: 32, patchSize: 4 }));
 * const { cls, patches } = backbone.apply(parameters, images); // [B, 192], [B, 64, 192]
 */
export function vit(config: VitConfig): Vit {
  checkVitConfig('backbone-vit.vit', config);
  const specs = parameterSpecs(config);

  const start = (
    where: string,
    parameters: VitParameters,
    images: tf.Tensor4D,
    options: VitApplyOptions,
  ): { x: tf.Tensor3D; grid: PatchGrid; drops: (BlockDrop | undefined)[] } => {
    checkParameters(where, specs, parameters);
    const grid = patchGrid(where, images, config);
    const drops = blockDrops(where, config, grid.batch, options);
    return { x: embed(where, images, parameters, grid, config, options.mask), grid, drops };
  };

  const layers = <T>(
    where: string,
    parameters: VitParameters,
    images: tf.Tensor4D,
    blocks: number | readonly number[],
    normed: boolean,
    use: (tokens: VitTokens, grid: PatchGrid) => T,
  ): T[] => {
    const wanted = wantedBlocks(where, blocks, config.depth);
    const { x: first, grid } = start(where, parameters, images, {});
    const found: T[] = [];
    let x = first;
    for (let index = 0; index <= wanted[wanted.length - 1]; index++) {
      x = runBlock(x, parameters, index, config, undefined);
      if (!wanted.includes(index)) continue;
      found.push(
        use(
          splitTokens(x, config, (part) => (normed ? norm(part, parameters, 'norm', config) : part)),
          grid,
        ),
      );
    }
    return found;
  };

  return {
    config,
    parameterSpecs: () => specs,
    init: (rng) => initialParameters(config, rng),
    apply: (parameters, images, { preNorm = false, ...options } = {}) =>
      tf.tidy(() => {
        const { x: first, drops } = start('backbone-vit.apply', parameters, images, options);
        let x = first;
        for (let index = 0; index < config.depth; index++) x = runBlock(x, parameters, index, config, drops[index]);
        const normed = splitTokens(x, config, (part) => norm(part, parameters, 'norm', config));
        return preNorm ? { ...normed, preNorm: splitTokens(x, config, (part) => part) } : normed;
      }),
    applyCls: (parameters, images, options = {}) =>
      tf.tidy(() => {
        const { x: first, drops } = start('backbone-vit.applyCls', parameters, images, options);
        let x = first;
        for (let index = 0; index < config.depth; index++) {
          x = runBlock(x, parameters, index, config, drops[index], index === config.depth - 1 ? 'cls' : 'all');
        }
        return tf.reshape(norm(x, parameters, 'norm', config), [x.shape[0], config.width]);
      }),
    intermediateLayers: (parameters, images, blocks, options = {}) =>
      tf.tidy(() =>
        layers('backbone-vit.intermediateLayers', parameters, images, blocks, options.norm ?? true, (tokens) => tokens),
      ),
    featureMaps: (parameters, images, blocks, options = {}) =>
      tf.tidy(() =>
        layers(
          'backbone-vit.featureMaps',
          parameters,
          images,
          blocks,
          options.norm ?? true,
          ({ patches, ...others }, { batch, rows, columns }): VitFeatureMap => ({
            ...others,
            patches: tf.reshape(patches, [batch, rows, columns, config.width]),
          }),
        ),
      ),
    lastSelfAttention: (parameters, images) =>
      tf.tidy(() => {
        let { x } = start('backbone-vit.lastSelfAttention', parameters, images, {});
        const last = config.depth - 1;
        for (let index = 0; index < last; index++) x = runBlock(x, parameters, index, config, undefined);
        const normed = norm(x, parameters, `blocks.${last}.norm1`, config);
        return attentionWeights(normed, parameters, `blocks.${last}.attn`, config);
      }),
  };
}
