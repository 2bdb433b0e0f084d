import * as tf from '@tensorflow/tfjs-core';
import type { PositionInterpolation } from './config.js';

/** Keys' cubic convolution kernel; a = -0.75 in PyTorch's bicubic resize, -0.5 in its antialiased one. */
function cubic(x: number, a: number): number {
  const t = Math.abs(x);
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  if (t < 2) return (((t - 5) * t + 8) * t - 4) * a;
  return 0;
}

/** Taps of output `i`, borders repeated. */
function plainTaps(i: number, scale: number, from: number, row: Float64Array): void {
  const source = scale * (i + 0.5) - 0.5;
  const first = Math.floor(source) - 1;
  for (let tap = 0; tap < 4; tap++) {
    const j = Math.min(Math.max(first + tap, 0), from - 1);
    row[j] += cubic(source - first - tap, -0.75);
  }
}

/** Taps of output `i`, the kernel stretched when shrinking, cut at the borders and made to sum to 1. */
function antialiasedTaps(i: number, scale: number, from: number, row: Float64Array): void {
  const centre = scale * (i + 0.5);
  const stretch = Math.max(scale, 1);
  const support = 2 * stretch;
  const start = Math.max(Math.trunc(centre - support + 0.5), 0);
  const end = Math.min(Math.trunc(centre + support + 0.5), from);
  let total = 0;
  for (let j = start; j < end; j++) total += row[j] = cubic((j - centre + 0.5) / stretch, -0.5);
  for (let j = start; j < end; j++) row[j] /= total;
}

/**
 * Weights of the bicubic resize of one axis, in float64: row i tells how output i is made of the inputs. The resize of
 * a grid is this matrix applied to its rows and another one to its columns.
 *
 * Source: PyTorch `upsample_bicubic2d` and `_upsample_bicubic2d_aa` with `align_corners=False`, called with the scale
 * factor `(to + offset) / from` as DINO and DINOv2 do; that factor, not `to / from`, sets the coordinates.
 *
 * @param from - trained size of the axis
 * @param to - size wanted
 * @returns row-major `[to, from]`
 */
export function positionInterpolationMatrix(
  from: number,
  to: number,
  { offset, antialias }: PositionInterpolation,
): Float64Array {
  const scale = from / (to + offset);
  const matrix = new Float64Array(to * from);
  const taps = antialias ? antialiasedTaps : plainTaps;
  for (let i = 0; i < to; i++) taps(i, scale, from, matrix.subarray(i * from, (i + 1) * from));
  return matrix;
}

/** Input size that positions are wanted for, pixels. */
export interface PixelGrid {
  readonly height: number;
  readonly width: number;
  readonly patchSize: number;
}

/**
 * Position embeddings for pictures of another size than trained with; differentiable.
 *
 * The patch part is resized bicubically to the new grid of patches, row-major; the CLS part is kept. Nothing changes
 * when the picture is square and has as many patches as the trained grid.
 *
 * @param positions - `[1, 1 + M*M, D]` float32, CLS first, patches row-major
 * @returns `[1, 1 + N, D]` float32 with N = floor(height / patchSize) * floor(width / patchSize)
 */
export function interpolatePositions(
  positions: tf.Tensor3D,
  { height, width, patchSize }: PixelGrid,
  interpolation: PositionInterpolation,
): tf.Tensor3D {
  const [, tokens, depth] = positions.shape;
  const grid = Math.round(Math.sqrt(tokens - 1));
  const rows = Math.floor(height / patchSize);
  const columns = Math.floor(width / patchSize);
  if (rows * columns === tokens - 1 && height === width) return tf.clone(positions);
  return tf.tidy(() => {
    const resize = (x: tf.Tensor2D, to: number): tf.Tensor2D => {
      const weights = Float32Array.from(positionInterpolationMatrix(grid, to, interpolation));
      return tf.matMul(tf.tensor2d(weights, [to, grid]), x);
    };
    const flat: tf.Tensor2D = tf.reshape(tf.slice(positions, [0, 1, 0]), [grid, grid * depth]); // [M, M*D]
    const tall = tf.transpose(tf.reshape(resize(flat, rows), [rows, grid, depth]), [1, 0, 2]); // [M, h, D]
    const wide = resize(tf.reshape(tall, [grid, rows * depth]), columns); // [w, h*D]
    const resized = tf.transpose(tf.reshape(wide, [columns, rows, depth]), [1, 0, 2]); // [h, w, D]
    const cls = tf.slice(positions, [0, 0, 0], [1, 1, depth]);
    return tf.concat([cls, tf.reshape(resized, [1, rows * columns, depth])], 1);
  });
}
