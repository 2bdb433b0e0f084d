import { sameShape } from '@selfsup/core';
import { numberOf, numbersOf } from './attributes.js';
import type { Emitter, EmitOperation } from './emitter.js';

/** Dimensions in order, 0 to n - 1. */
export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** A slice; dimensions taken whole are left out. */
export function slice(
  e: Emitter,
  name: string,
  shape: readonly number[],
  start: readonly number[],
  limit: readonly number[],
  strides: readonly number[] = shape.map(() => 1),
): string {
  const axes = range(shape.length).filter((i) => start[i] !== 0 || limit[i] !== shape[i] || strides[i] !== 1);
  if (axes.length === 0) return name;
  const pick = (list: readonly number[]): string => e.model.i64(axes.map((i) => list[i]));
  return e.op('Slice', [name, pick(start), pick(limit), e.model.i64(axes), pick(strides)]);
}

/** Reverses an array along some dimensions. */
export function reverse(e: Emitter, name: string, dimensions: readonly number[]): string {
  if (dimensions.length === 0) return name;
  const all = (value: number): string => e.model.i64(dimensions.map(() => value));
  return e.op('Slice', [name, all(-1), all(-(2 ** 31)), e.model.i64(dimensions), all(-1)]);
}

/** Reshape is free for an array that is read by one operation only, and products look through it. */
const reshape: EmitOperation = (e, { inputs: [x], outputs: [y] }) => {
  if (sameShape(x.shape, y.shape)) {
    const { name, shape } = e.operand(x.id);
    e.define(y, name, shape);
    return;
  }
  e.defer(y, () => e.reshape(e.full(x.id), y.shape));
};

/** Broadcasting is left to the readers that broadcast by themselves. */
const broadcastInDim: EmitOperation = (e, { inputs: [x], outputs: [y] }) => {
  const { name, shape } = e.operand(x.id);
  e.define(y, name, shape);
};

const transpose: EmitOperation = (e, node) => {
  const [x] = node.inputs;
  e.defer(node.outputs[0], () => e.transpose(e.full(x.id), numbersOf(node, 'permutation')));
};

const concatenate: EmitOperation = (e, node) => {
  const names = node.inputs.map((v) => e.full(v.id));
  const name = names.length === 1 ? names[0] : e.op('Concat', names, { axis: numberOf(node, 'dimension') });
  e.define(node.outputs[0], name);
};

const iota: EmitOperation = (e, node) => {
  const [y] = node.outputs;
  const values = range(y.shape[0]).map((i) => numberOf(node, 'start') + numberOf(node, 'step') * i);
  const typed = y.dtype === 'i32' ? Int32Array.from(values) : Float32Array.from(values);
  e.define(y, e.model.constant(y.dtype, y.shape, new Uint8Array(typed.buffer)));
};

/** Operations that move data. */
export const SHAPE = {
  reshape,
  broadcast_in_dim: broadcastInDim,
  transpose,
  slice: (e, node) => {
    const [x] = node.inputs;
    const [start, limit, strides] = ['start', 'limit', 'strides'].map((name) => numbersOf(node, name));
    e.define(node.outputs[0], slice(e, e.full(x.id), x.shape, start, limit, strides));
  },
  pad: (e, node) => {
    const [x] = node.inputs;
    const pads = e.model.i64([...numbersOf(node, 'low'), ...numbersOf(node, 'high')]);
    const value = e.scalar(x.dtype, numberOf(node, 'value'));
    e.define(node.outputs[0], e.op('Pad', [e.full(x.id), pads, value]));
  },
  concatenate,
  reverse: (e, node) => {
    const [x] = node.inputs;
    e.define(node.outputs[0], reverse(e, e.full(x.id), numbersOf(node, 'dimensions')));
  },
  iota,
} satisfies Record<string, EmitOperation>;
