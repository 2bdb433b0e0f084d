import * as tf from '@tensorflow/tfjs-core';
import { sizeOf } from '@selfsup/core';
import type { GraphDType } from '../../graph/graph.js';
import type { GraphWriter, KernelCall, KernelRule, Traced } from '../kernel-context.js';

const dtypeOf = (name: unknown): GraphDType => (name === 'int32' ? 'i32' : name === 'bool' ? 'bool' : 'f32');

function slice(g: GraphWriter, c: KernelCall): Traced {
  const x = c.in('x');
  // Only the shape is looked at.
  const shaped = { shape: [...x.shape], rank: x.shape.length } as unknown as tf.Tensor;
  const [start, size] = tf.slice_util.parseSliceParams(
    shaped,
    c.attrs['begin'] as number[],
    c.attrs['size'] as number[],
  );
  return g.slice(
    x,
    start,
    start.map((b, i) => b + size[i]),
  );
}

function stridedSlice(g: GraphWriter, c: KernelCall): Traced {
  const x = c.in('x');
  const a = c.attrs as Record<string, never>;
  const info = tf.slice_util.sliceInfo(
    [...x.shape],
    a['begin'],
    a['end'],
    a['strides'],
    a['beginMask'],
    a['endMask'],
    a['ellipsisMask'],
    a['newAxisMask'],
    a['shrinkAxisMask'],
  );
  if (info.strides.some((s) => s < 0)) {
    const axes = info.strides.flatMap((s, i) => (s < 0 ? [i] : []));
    const flipped = g.emit('reverse', [x], x.shape, x.dtype, { dimensions: axes });
    const begin = info.begin.map((b, i) => (axes.includes(i) ? x.shape[i] - 1 - b : b));
    const end = info.end.map((e, i) => (axes.includes(i) ? x.shape[i] - 1 - e : e));
    return g.reshape(g.slice(flipped, begin, end, info.strides.map(Math.abs)), info.finalShape);
  }
  return g.reshape(g.slice(x, info.begin, info.end, info.strides), info.finalShape);
}

function split(g: GraphWriter, c: KernelCall): Traced[] {
  const x = c.in('x');
  const axis = tf.util.parseAxisParam(c.attrs['axis'] as number, [...x.shape])[0];
  const shaped = { shape: [...x.shape] } as unknown as tf.Tensor;
  let at = 0;
  return tf.backend_util.prepareSplitSize(shaped, c.attrs['numOrSizeSplits'] as number[] | number, axis).map((size) => {
    const start = x.shape.map((_, i) => (i === axis ? at : 0));
    at += size;
    return g.slice(
      x,
      start,
      x.shape.map((d, i) => (i === axis ? at : d)),
    );
  });
}

function unpack(g: GraphWriter, c: KernelCall): Traced[] {
  const x = c.in('value');
  const axis = tf.util.parseAxisParam(c.attrs['axis'] as number, [...x.shape])[0];
  const rest = x.shape.filter((_, i) => i !== axis);
  return Array.from({ length: x.shape[axis] }, (_, k) =>
    g.reshape(
      g.slice(
        x,
        x.shape.map((__, i) => (i === axis ? k : 0)),
        x.shape.map((d, i) => (i === axis ? k + 1 : d)),
      ),
      rest,
    ),
  );
}

function pack(g: GraphWriter, c: KernelCall): Traced {
  const given = c.attrs['axis'] as number;
  const shape = [...c.list[0].shape];
  // Counted in the result, which has one dimension more.
  const axis = given < 0 ? given + shape.length + 1 : given;
  shape.splice(axis, 0, 1);
  return g.concatenate(
    c.list.map((x) => g.reshape(x, shape)),
    axis,
  );
}

function tile(g: GraphWriter, c: KernelCall): Traced {
  const x = c.in('x');
  const reps = c.attrs['reps'] as number[];
  const split = x.shape.flatMap((d) => [1, d]);
  const wide = x.shape.flatMap((d, i) => [reps[i], d]);
  return g.reshape(
    g.broadcast(g.reshape(x, split), wide),
    x.shape.map((d, i) => d * reps[i]),
  );
}

function mirrorPad(g: GraphWriter, c: KernelCall): Traced {
  let x = c.in('x');
  const edge = c.attrs['mode'] === 'reflect' ? 1 : 0;
  (c.attrs['paddings'] as [number, number][]).forEach(([low, high], axis) => {
    const size = x.shape[axis];
    const take = (from: number, to: number): Traced =>
      g.slice(
        x,
        x.shape.map((_, i) => (i === axis ? from : 0)),
        x.shape.map((d, i) => (i === axis ? to : d)),
      );
    const flip = (part: Traced): Traced => g.emit('reverse', [part], part.shape, part.dtype, { dimensions: [axis] });
    const parts = [x];
    if (low > 0) parts.unshift(flip(take(edge, edge + low)));
    if (high > 0) parts.push(flip(take(size - edge - high, size - edge)));
    x = g.concatenate(parts, axis);
  });
  return x;
}

function spaceToBatch(g: GraphWriter, c: KernelCall): Traced {
  const x = c.in('x');
  const block = c.attrs['blockShape'] as number[];
  const paddings = [
    [0, 0],
    ...(c.attrs['paddings'] as number[][]),
    ...x.shape.slice(1 + block.length).map(() => [0, 0]),
  ];
  const padded = g.pad(
    x,
    paddings.map((p) => p[0]),
    paddings.map((p) => p[1]),
  );
  const shape = [...padded.shape];
  const total = sizeOf(block);
  const split = tf.backend_util.getReshaped(shape, block, total, false);
  const order = tf.backend_util.getPermuted(split.length, block.length, false);
  const flat = tf.backend_util.getReshapedPermuted(shape, block, total, false);
  return g.reshape(g.transpose(g.reshape(padded, split), order), flat);
}

function batchToSpace(g: GraphWriter, c: KernelCall): Traced {
  const x = c.in('x');
  const block = c.attrs['blockShape'] as number[];
  const crops = c.attrs['crops'] as number[][];
  const total = sizeOf(block);
  const shape = [...x.shape];
  const split = tf.backend_util.getReshaped(shape, block, total);
  const order = tf.backend_util.getPermuted(split.length, block.length);
  const flat = tf.backend_util.getReshapedPermuted(shape, block, total);
  const whole = g.reshape(g.transpose(g.reshape(x, split), order), flat);
  // Crops are given for the block's dimensions only: the batch and what follows them stay whole.
  const edges = [[0, 0], ...crops, ...flat.slice(1 + block.length).map(() => [0, 0])];
  return g.slice(
    whole,
    edges.map(([low]) => low),
    flat.map((d, i) => d - edges[i][1]),
  );
}

/** Kernels that move or make data without computing on it. */
export const SHAPE: Readonly<Record<string, KernelRule>> = {
  Reshape: (g, c) =>
    g.reshape(c.in('x'), tf.util.inferFromImplicitShape(c.attrs['shape'] as number[], sizeOf(c.in('x').shape))),
  ExpandDims: (g, c) => {
    const x = c.in('input');
    const dim = c.attrs['dim'] as number;
    const shape = [...x.shape];
    shape.splice(dim < 0 ? x.shape.length + dim + 1 : dim, 0, 1);
    return g.reshape(x, shape);
  },
  Transpose: (g, c) => g.transpose(c.in('x'), c.attrs['perm'] as number[]),
  BroadcastTo: (g, c) => g.broadcast(c.in('x'), (c.attrs['shape'] ?? c.attrs['inputShape']) as number[]),
  Slice: slice,
  StridedSlice: stridedSlice,
  SplitV: split,
  Unpack: unpack,
  Pack: pack,
  Concat: (g, c) => {
    const axis = tf.util.parseAxisParam(c.attrs['axis'] as number, [...c.list[0].shape])[0];
    const filled = c.list.filter((x) => sizeOf(x.shape) > 0);
    return filled.length === 0 ? c.list[0] : g.concatenate(filled, axis);
  },
  PadV2: (g, c) => {
    const paddings = c.attrs['paddings'] as [number, number][];
    return g.pad(
      c.in('x'),
      paddings.map((p) => p[0]),
      paddings.map((p) => p[1]),
      c.attrs['constantValue'] as number,
    );
  },
  MirrorPad: mirrorPad,
  Reverse: (g, c) => {
    const x = c.in('x');
    const dimensions = tf.util.parseAxisParam(c.attrs['dims'] as number[], [...x.shape]);
    return g.emit('reverse', [x], x.shape, x.dtype, { dimensions });
  },
  Tile: tile,
  SpaceToBatchND: spaceToBatch,
  BatchToSpaceND: batchToSpace,
  ZerosLike: (g, c) => g.splat(0, c.in('x').shape, c.in('x').dtype),
  OnesLike: (g, c) => g.splat(1, c.in('x').shape, c.in('x').dtype),
  Fill: (g, c) =>
    g.splat(c.attrs['value'] as number, c.attrs['shape'] as number[], dtypeOf(c.attrs['dtype'] ?? 'float32')),
  Range: (g, c) => {
    const { start, stop, step } = c.attrs as { start: number; stop: number; step: number };
    const n = Math.max(0, Math.ceil((stop - start) / step));
    return g.emit('iota', [], [n], dtypeOf(c.attrs['dtype'] ?? 'float32'), { start, step });
  },
  LinSpace: (g, c) => {
    const { start, stop, num } = c.attrs as { start: number; stop: number; num: number };
    return g.emit('iota', [], [num], 'f32', { start, step: num > 1 ? (stop - start) / (num - 1) : 0 });
  },
};
