import * as tf from '@tensorflow/tfjs-core';
import { sameShape, sizeOf } from '@selfsup/core';
import { numberOf, numbersOf } from '../graph/attributes.js';
import type { Kernels } from './kernels.js';
import type { Rule } from './rule.js';
import { tfjsDType } from './tensors.js';

export function reshape(k: Kernels, x: tf.Tensor, shape: readonly number[]): tf.Tensor {
  return k.run('Reshape', { x }, { shape: [...shape] });
}

/**
 * Runs `work` on x with neighbouring untouched dimensions merged, so that high ranks fit backends that stop at rank 4.
 * `work` gets the merged tensor and the touched dimensions' places in it.
 */
function onMerged(
  k: Kernels,
  x: tf.Tensor,
  touched: (dimension: number) => boolean,
  shape: readonly number[],
  work: (merged: tf.Tensor, dimensions: readonly (number | undefined)[]) => tf.Tensor,
): tf.Tensor {
  const sizes: number[] = [];
  const dimensions: (number | undefined)[] = [];
  x.shape.forEach((size, d) => {
    if (!touched(d) && sizes.length > 0 && dimensions[sizes.length - 1] === undefined) {
      sizes[sizes.length - 1] *= size;
      return;
    }
    sizes.push(size);
    dimensions.push(touched(d) ? d : undefined);
  });
  return reshape(k, work(reshape(k, x, sizes), dimensions), shape);
}

/** x broadcast to a shape as numpy does. */
export function broadcastTo(k: Kernels, x: tf.Tensor, shape: readonly number[]): tf.Tensor {
  if (sameShape(x.shape, shape)) return k.run('Identity', { x });
  const aligned = reshape(k, x, [...shape.slice(x.rank).map(() => 1), ...x.shape]);
  return onMerged(
    k,
    aligned,
    (d) => aligned.shape[d] !== shape[d],
    shape,
    (merged, dimensions) =>
      k.run('Tile', { x: merged }, { reps: dimensions.map((d) => (d === undefined ? 1 : shape[d])) }),
  );
}

/** Pads with a value, low and high per dimension. */
export function pad(k: Kernels, x: tf.Tensor, low: readonly number[], high: readonly number[], value = 0): tf.Tensor {
  const shape = x.shape.map((size, d) => low[d] + size + high[d]);
  if (sameShape(shape, x.shape)) return k.run('Identity', { x });
  return onMerged(
    k,
    x,
    (d) => low[d] + high[d] > 0,
    shape,
    (merged, dimensions) => {
      const paddings = dimensions.map((d) => (d === undefined ? [0, 0] : [low[d], high[d]]));
      return k.run('PadV2', { x: merged }, { paddings, constantValue: value });
    },
  );
}

/** Part of x from start up to limit, every stride-th element. */
export function slice(
  k: Kernels,
  x: tf.Tensor,
  start: readonly number[],
  limit: readonly number[],
  strides: readonly number[] = start.map(() => 1),
): tf.Tensor {
  const shape = start.map((s, d) => Math.ceil((limit[d] - s) / strides[d]));
  return onMerged(
    k,
    x,
    (d) => shape[d] !== x.shape[d],
    shape,
    (merged, dimensions) => {
      const whole = <T>(part: (d: number) => T, all: (size: number) => T): T[] =>
        dimensions.map((d, i) => (d === undefined ? all(merged.shape[i]) : part(d)));
      const begin = whole(
        (d) => start[d],
        () => 0,
      );
      if (strides.every((s) => s === 1)) {
        return k.run(
          'Slice',
          { x: merged },
          {
            begin,
            size: whole(
              (d) => shape[d],
              (size) => size,
            ),
          },
        );
      }
      return k.run(
        'StridedSlice',
        { x: merged },
        {
          begin,
          end: whole(
            (d) => limit[d],
            (size) => size,
          ),
          strides: whole(
            (d) => strides[d],
            () => 1,
          ),
          beginMask: 0,
          endMask: 0,
          ellipsisMask: 0,
          newAxisMask: 0,
          shrinkAxisMask: 0,
        },
      );
    },
  );
}

/** Operations that move or make data without computing on it, and `scatter_add`. */
export const SHAPE = {
  reshape: ({ kernels, inputs: [x], outputs: [y] }) => reshape(kernels, x, y.shape),
  broadcast_in_dim: ({ kernels, inputs: [x], outputs: [y] }) => broadcastTo(kernels, x, y.shape),
  transpose: ({ kernels, inputs: [x], attrs }) =>
    kernels.run('Transpose', { x }, { perm: [...numbersOf(attrs, 'permutation')] }),
  slice: ({ kernels, inputs: [x], attrs }) =>
    slice(kernels, x, numbersOf(attrs, 'start'), numbersOf(attrs, 'limit'), numbersOf(attrs, 'strides')),
  pad: ({ kernels, inputs: [x], attrs }) =>
    pad(kernels, x, numbersOf(attrs, 'low'), numbersOf(attrs, 'high'), numberOf(attrs, 'value')),
  concatenate: ({ kernels, inputs, attrs }) => {
    const filled = inputs.filter((x) => x.size > 0);
    return kernels.run('Concat', filled, { axis: numberOf(attrs, 'dimension') });
  },
  reverse: ({ kernels: k, inputs: [x], attrs }) => {
    const reversed = numbersOf(attrs, 'dimensions');
    return onMerged(
      k,
      x,
      (d) => reversed.includes(d),
      x.shape,
      (merged, dimensions) =>
        k.run('Reverse', { x: merged }, { dims: dimensions.flatMap((d, i) => (d === undefined ? [] : [i])) }),
    );
  },
  iota: ({ attrs, outputs: [y] }) => {
    const start = numberOf(attrs, 'start');
    const step = numberOf(attrs, 'step');
    const values = Array.from({ length: sizeOf(y.shape) }, (_, i) => start + step * i);
    return tf.tensor(values, [...y.shape], tfjsDType(y.dtype));
  },
  gather: ({ kernels, inputs: [x, indices], attrs }) =>
    kernels.run('GatherV2', { x, indices }, { axis: numberOf(attrs, 'dimension'), batchDims: 0 }),
  scatter_add: ({ kernels: k, inputs: [indices, updates], outputs: [y] }) =>
    k.run('ScatterNd', { indices: reshape(k, indices, [indices.size, 1]), updates }, { shape: [...y.shape] }),
  one_hot: ({ kernels, inputs: [indices], attrs, outputs: [y] }) =>
    kernels.run(
      'OneHot',
      { indices },
      {
        depth: numberOf(attrs, 'depth'),
        onValue: numberOf(attrs, 'on'),
        offValue: numberOf(attrs, 'off'),
        dtype: tfjsDType(y.dtype),
      },
    ),
} satisfies Readonly<Record<string, Rule>>;
