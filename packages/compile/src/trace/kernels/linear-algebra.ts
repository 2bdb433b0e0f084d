import * as tf from '@tensorflow/tfjs-core';
import { sizeOf } from '@selfsup/core';
import { PRODUCT_KERNEL } from '@selfsup/ops';
import type { Attributes, GraphWriter, KernelCall, KernelRule, Traced } from '../kernel-context.js';

const matMul =
  (attributes: Attributes): KernelRule =>
  (g, c) =>
    g.matMul(
      g.convert(c.in('a'), 'f32'),
      g.convert(c.in('b'), 'f32'),
      c.attrs['transposeA'] === true,
      c.attrs['transposeB'] === true,
      attributes,
    );

/** `gather` along one axis; more batch dimensions are refused (no block of this project needs them). */
function gather(g: GraphWriter, c: KernelCall): Traced {
  const x = c.in('x');
  const indices = c.in('indices');
  if (((c.attrs['batchDims'] as number | undefined) ?? 0) !== 0) {
    g.unsupported(c, `batchDims ${String(c.attrs['batchDims'])}`, 'gather from a flattened tensor with offset indices');
  }
  const dimension = tf.util.parseAxisParam(c.attrs['axis'] as number, [...x.shape])[0];
  const shape = [...x.shape.slice(0, dimension), ...indices.shape, ...x.shape.slice(dimension + 1)];
  return g.emit('gather', [x, g.convert(indices, 'i32')], shape, x.dtype, { dimension });
}

/** Linear row numbers of [..., depth] indices into the leading `depth` dimensions of a shape. */
function rowNumbers(g: GraphWriter, indices: Traced, leading: readonly number[]): Traced {
  const strides = leading.map((_, i) => sizeOf(leading.slice(i + 1)));
  const n = sizeOf(indices.shape.slice(0, -1));
  const flat = g.reshape(g.convert(indices, 'i32'), [n, leading.length]);
  return g.reduce(
    'sum',
    g.binary('multiply', flat, g.constant(Int32Array.from(strides), [leading.length], 'i32')),
    [1],
  );
}

function gatherNd(g: GraphWriter, c: KernelCall): Traced {
  const x = c.in('params');
  const indices = c.in('indices');
  const depth = indices.shape[indices.shape.length - 1];
  const leading = x.shape.slice(0, depth);
  const rest = x.shape.slice(depth);
  const rows = rowNumbers(g, indices, leading);
  const table = g.reshape(x, [sizeOf(leading), ...rest]);
  const taken = g.emit('gather', [table, rows], [rows.shape[0], ...rest], x.dtype, { dimension: 0 });
  return g.reshape(taken, [...indices.shape.slice(0, -1), ...rest]);
}

function scatterNd(g: GraphWriter, c: KernelCall): Traced {
  const shape = c.attrs['shape'] as number[];
  const indices = c.in('indices');
  const updates = c.in('updates');
  const depth = indices.shape[indices.shape.length - 1];
  const leading = shape.slice(0, depth);
  const rest = shape.slice(depth);
  const rows = rowNumbers(g, indices, leading);
  const flat = g.reshape(updates, [rows.shape[0], ...rest]);
  const sum = g.emit('scatter_add', [rows, flat], [sizeOf(leading), ...rest], updates.dtype, { rows: sizeOf(leading) });
  return g.reshape(sum, shape);
}

function unsortedSegmentSum(g: GraphWriter, c: KernelCall): Traced {
  const x = c.in('x');
  const rows = c.attrs['numSegments'] as number;
  const ids = g.reshape(g.convert(c.in('segmentIds'), 'i32'), [sizeOf(c.in('segmentIds').shape)]);
  const rest = x.shape.slice(c.in('segmentIds').shape.length);
  return g.emit('scatter_add', [ids, g.reshape(x, [ids.shape[0], ...rest])], [rows, ...rest], x.dtype, { rows });
}

function oneHot(g: GraphWriter, c: KernelCall): Traced {
  const indices = c.in('indices');
  const { depth, onValue, offValue } = c.attrs as { depth: number; onValue: number; offValue: number };
  const dtype = c.attrs['dtype'] === 'float32' ? 'f32' : c.attrs['dtype'] === 'bool' ? 'bool' : 'i32';
  return g.emit('one_hot', [g.convert(indices, 'i32')], [...indices.shape, depth], dtype, {
    depth,
    on: onValue,
    off: offValue,
  });
}

/** The k largest along the last axis, for tfjs's own kernel and the composite alike. */
export function topK(g: GraphWriter, c: KernelCall): Traced[] {
  const x = c.in('x');
  const k = c.attrs['k'] as number;
  const shape = [...x.shape.slice(0, -1), k];
  return g.emitAll(
    'top_k',
    [x],
    [
      { shape, dtype: x.dtype },
      { shape, dtype: 'i32' },
    ],
    { k },
  );
}

/** Matrix products, gathers and scatters. */
export const LINEAR_ALGEBRA: Readonly<Record<string, KernelRule>> = {
  BatchMatMul: matMul({}),
  [PRODUCT_KERNEL]: matMul({ precision: 'default' }),
  GatherV2: gather,
  GatherNd: gatherNd,
  ScatterNd: scatterNd,
  UnsortedSegmentSum: unsortedSegmentSum,
  OneHot: oneHot,
  TopK: topK,
};
