import { SslError } from '@selfsup/core';
import { numberOf, numbersOf } from '../graph/attributes.js';
import { broadcastStrides, offsetsOf, splitAt, stridesOf, type Evaluator, type HostValue } from './host-value.js';

/** Fills the output from the places of x that strides and a start describe. */
function readInto(x: HostValue, out: HostValue, strides: readonly number[], start = 0): void {
  const offsets = offsetsOf(out.shape, strides, start);
  for (let i = 0; i < offsets.length; i++) out.data[i] = x.data[offsets[i]];
}

/** Puts all of x into the output, its first element at `start` (per dimension). */
function writeInto(x: HostValue, out: HostValue, start: readonly number[]): void {
  const strides = stridesOf(out.shape);
  const first = start.reduce((offset, s, i) => offset + s * strides[i], 0);
  const offsets = offsetsOf(x.shape, strides, first);
  for (let i = 0; i < offsets.length; i++) out.data[offsets[i]] = x.data[i];
}

function checkIndex(op: string, index: number, size: number): void {
  if (index >= 0 && index < size) return;
  throw new SslError('BAD_DATA', {
    where: `compile.interpret.${op}`,
    expected: `indices from 0 to ${size - 1}`,
    got: String(index),
    fix: 'pass indices within the indexed dimension',
  });
}

/** Operations that move or make data without computing on it, and `scatter_add`. */
export const SHAPE = {
  reshape: ([x], [out]) => out.data.set(x.data),
  broadcast_in_dim: ([x], [out]) => readInto(x, out, broadcastStrides(x.shape, out.shape)),
  transpose: ([x], [out], attrs) => {
    const strides = stridesOf(x.shape);
    const permuted = numbersOf(attrs, 'permutation').map((p) => strides[p]);
    readInto(x, out, permuted);
  },
  slice: ([x], [out], attrs) => {
    const strides = stridesOf(x.shape);
    const steps = numbersOf(attrs, 'strides');
    const start = numbersOf(attrs, 'start').reduce((offset, s, i) => offset + s * strides[i], 0);
    const stepped = strides.map((s, i) => s * steps[i]);
    readInto(x, out, stepped, start);
  },
  pad: ([x], [out], attrs) => {
    out.data.fill(numberOf(attrs, 'value'));
    writeInto(x, out, numbersOf(attrs, 'low'));
  },
  concatenate: (inputs, [out], attrs) => {
    const axis = numberOf(attrs, 'dimension');
    let at = 0;
    for (const x of inputs) {
      const start = x.shape.map((_, i) => (i === axis ? at : 0));
      writeInto(x, out, start);
      at += x.shape[axis];
    }
  },
  reverse: ([x], [out], attrs) => {
    const reversed = numbersOf(attrs, 'dimensions');
    const strides = stridesOf(x.shape);
    const start = reversed.reduce((offset, d) => offset + (x.shape[d] - 1) * strides[d], 0);
    const turned = strides.map((s, i) => (reversed.includes(i) ? -s : s));
    readInto(x, out, turned, start);
  },
  iota: (_, [out], attrs) => {
    const start = numberOf(attrs, 'start');
    const step = numberOf(attrs, 'step');
    for (let i = 0; i < out.data.length; i++) out.data[i] = start + step * i;
  },
  gather: ([x, indices], [out], attrs) => {
    const { outer, length, inner } = splitAt(x.shape, numberOf(attrs, 'dimension'));
    const count = indices.data.length;
    indices.data.forEach((index, i) => {
      checkIndex('gather', index, length);
      for (let o = 0; o < outer; o++) {
        const from = (o * length + index) * inner;
        out.data.set(x.data.subarray(from, from + inner), (o * count + i) * inner);
      }
    });
  },
  scatter_add: ([indices, updates], [out], attrs) => {
    const rows = numberOf(attrs, 'rows');
    const { inner } = splitAt(updates.shape, 0);
    // Summed in double: many updates may meet in one row.
    const sums = new Float64Array(out.data.length);
    indices.data.forEach((row, i) => {
      checkIndex('scatter_add', row, rows);
      for (let j = 0; j < inner; j++) sums[row * inner + j] += updates.data[i * inner + j];
    });
    out.data.set(sums);
  },
  one_hot: ([indices], [out], attrs) => {
    const depth = numberOf(attrs, 'depth');
    out.data.fill(numberOf(attrs, 'off'));
    indices.data.forEach((index, i) => {
      if (index >= 0 && index < depth) out.data[i * depth + index] = numberOf(attrs, 'on');
    });
  },
} satisfies Readonly<Record<string, Evaluator>>;
