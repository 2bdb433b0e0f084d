import { flagOf, type Attributes } from '@selfsup/compile';
import { take } from './indexing.js';
import type { EmitOperation } from './operation.js';
import { dot } from './product.js';
import { range, type Tensor } from './writer.js';

/** Where each output pixel lies in the source along one dimension, before clamping. */
function sourceCoordinates(attrs: Attributes, from: number, to: number, half: number): number[] {
  const scale = flagOf(attrs, 'alignCorners') && to > 1 ? (from - 1) / (to - 1) : from / to;
  const offset = flagOf(attrs, 'halfPixelCenters');
  return range(to).map((i) => (offset ? scale * (i + 0.5) - half : scale * i));
}

const clamp = (x: number, size: number): number => Math.min(Math.max(x, 0), size - 1);

/** Interpolation along one dimension as a matrix [to, from] with two entries a row. */
function interpolation(coordinates: readonly number[], from: number): Float32Array {
  const matrix = new Float32Array(coordinates.length * from);
  coordinates.forEach((at, row) => {
    const x = clamp(at, from);
    const low = Math.floor(x);
    const high = Math.min(low + 1, from - 1);
    matrix[row * from + low] += 1 - (x - low);
    matrix[row * from + high] += x - low;
  });
  return matrix;
}

const resizeBilinear: EmitOperation = (w, { attrs, inputs: [x], outputs: [y] }) => {
  const along = (axis: number): Tensor => {
    const [from, to] = [x.shape[axis], y.shape[axis]];
    const coordinates = sourceCoordinates(attrs, from, to, 0.5);
    return w.constant('f32', [to, from], interpolation(coordinates, from));
  };
  const rows = dot(w, x, along(1), { over: [[1], [1]] }); // [N, W, C, H']
  const columns = dot(w, rows, along(2), { over: [[1], [1]] }); // [N, C, H', W']
  return [w.transpose(columns, [0, 2, 3, 1])];
};

const resizeNearest: EmitOperation = (w, { attrs, inputs: [x], outputs: [y] }) => {
  const round = flagOf(attrs, 'alignCorners') ? Math.round : Math.floor;
  const picked = [1, 2].reduce((image, axis) => {
    const coordinates = sourceCoordinates(attrs, x.shape[axis], y.shape[axis], 0);
    const places = Int32Array.from(coordinates, (at) => clamp(round(at), x.shape[axis]));
    return take(w, image, w.constant('i32', [places.length], places), axis);
  }, x);
  return [picked];
};

/** Resizing of NHWC images. */
export const RESIZING = { resize_bilinear: resizeBilinear, resize_nearest: resizeNearest } satisfies Record<
  string,
  EmitOperation
>;
