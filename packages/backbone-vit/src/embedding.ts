import { checkShape, formatShape, SslError } from '@selfsup/core';
import { linear } from '@selfsup/ops';
import * as tf from '@tensorflow/tfjs-core';
import type { VitConfig } from './config.js';
import type { VitParameters } from './parameters.js';
import { interpolatePositions } from './position-interpolation.js';

/** Batch size and grid of patches of a batch of pictures. */
export interface PatchGrid {
  readonly batch: number;
  readonly rows: number;
  readonly columns: number;
}

/**
 * Checks pictures against the configuration; metadata only.
 *
 * @throws SslError `SHAPE_MISMATCH`, `BAD_DATA` for another dtype than float32
 */
export function patchGrid(
  where: string,
  images: tf.Tensor4D,
  { channels, patchSize, remainder }: VitConfig,
): PatchGrid {
  const { B, H, W } = checkShape(where, 'images (NHWC)', images, ['B', 'H', 'W', channels]);
  const refuse = (expected: string, fix: string): never => {
    const got = formatShape(images.shape);
    throw new SslError('SHAPE_MISMATCH', { where, expected, got, fix, details: { shape: images.shape, patchSize } });
  };
  if (images.dtype !== 'float32') {
    throw new SslError('BAD_DATA', {
      where,
      expected: 'images of dtype float32, normalised',
      got: images.dtype,
      fix: 'scale to 0..1, subtract the mean and divide by the deviation of the training pictures first',
    });
  }
  if (H < patchSize || W < patchSize) {
    refuse(`images of at least one patch, ${patchSize} x ${patchSize} pixels`, 'enlarge them, or use smaller patches');
  }
  if (remainder === 'error' && (H % patchSize !== 0 || W % patchSize !== 0)) {
    const near = [H, W].map((n) => patchSize * Math.max(1, Math.round(n / patchSize))).join(' x ');
    refuse(
      `images with sides that are multiples of patchSize = ${patchSize}`,
      `resize to ${near}, or set remainder "drop" as DINO (v1) does`,
    );
  }
  return { batch: B, rows: Math.floor(H / patchSize), columns: Math.floor(W / patchSize) };
}

/** Patches as tokens, `[B, h, w, D]` flattened to `[B, N, D]`; what lies beyond the last whole patch is left out. */
function embedPatches(
  images: tf.Tensor4D,
  parameters: VitParameters,
  { batch, rows, columns }: PatchGrid,
  { channels: c, patchSize: p, width }: VitConfig,
): tf.Tensor3D {
  const whole = [batch, rows * p, columns * p, c] as [number, number, number, number];
  const cut = whole.every((n, axis) => n === images.shape[axis]) ? images : tf.slice(images, [0, 0, 0, 0], whole);
  const tiles = tf.transpose(tf.reshape(cut, [batch, rows, p, columns, p * c]), [0, 1, 3, 2, 4]);
  const pixels = tf.reshape(tiles, [batch, rows * columns, p * p * c]); // [B, N, (row, column, channel)]
  const kernel = tf.transpose(parameters['patch_embed.proj.weight'], [0, 2, 3, 1]); // [D, P, P, C]
  const weight = tf.reshape(kernel, [width, p * p * c]);
  return linear(pixels, weight, parameters['patch_embed.proj.bias']) as tf.Tensor3D;
}

/**
 * The sequence a transformer starts from: CLS and patches with their positions, registers between them without.
 *
 * @param mask - `[B, N]` of 0 and 1: patches with a 1 are replaced by the mask token (they keep their position)
 * @returns `[B, 1 + R + N, D]`
 * @throws SslError `BAD_OPTION` if there is a mask but no mask token, `SHAPE_MISMATCH`
 */
export function embed(
  where: string,
  images: tf.Tensor4D,
  parameters: VitParameters,
  grid: PatchGrid,
  config: VitConfig,
  mask: tf.Tensor2D | undefined,
): tf.Tensor3D {
  const { batch, rows, columns } = grid;
  const { width, patchSize, registers, interpolation } = config;
  const [, height, pixelWidth] = images.shape;
  let patches = embedPatches(images, parameters, grid, config);
  if (mask !== undefined) {
    if (!config.maskToken) {
      throw new SslError('BAD_OPTION', {
        where,
        expected: 'no mask, since there is no mask token',
        got: `a mask ${formatShape(mask.shape)}`,
        fix: 'configure maskToken: true (the DINOv2 flavours do)',
      });
    }
    checkShape(where, 'mask', mask, [batch, rows * columns]);
    const masked = tf.expandDims(mask, -1); // [B, N, 1]
    // A product and not a select: the same numbers for 0 and 1, and it has a gradient everywhere.
    patches = tf.add(tf.mul(patches, tf.sub(1, masked)), tf.mul(masked, parameters['mask_token']));
  }
  const positions = interpolatePositions(
    parameters['pos_embed'] as tf.Tensor3D,
    { height, width: pixelWidth, patchSize },
    interpolation,
  );
  // A sum and not tf.tile, whose gradient is one slice per image.
  const repeat = (token: tf.Tensor): tf.Tensor3D => tf.add(tf.zeros([batch, 1, 1]), token);
  return tf.concat<tf.Tensor3D>(
    [
      repeat(tf.add(parameters['cls_token'], tf.slice(positions, [0, 0, 0], [1, 1, width]))),
      ...(registers > 0 ? [repeat(parameters['register_tokens'])] : []),
      tf.add<tf.Tensor3D>(patches, tf.slice(positions, [0, 1, 0], [1, rows * columns, width])),
    ],
    1,
  );
}
