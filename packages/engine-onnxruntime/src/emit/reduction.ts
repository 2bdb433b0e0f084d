import type { Value } from '@selfsup/compile';
import { sizeOf } from '@selfsup/core';
import { ELEMENT } from '../element.js';
import { flagOf, numberOf, numbersOf, wordOf } from './attributes.js';
import { unsupported, type EmitOperation } from './emitter.js';

const REDUCTIONS: Readonly<Record<string, string>> = {
  max: 'ReduceMax',
  min: 'ReduceMin',
  prod: 'ReduceProd',
  any: 'ReduceMax',
  all: 'ReduceMin',
};

/** From here on a product with ones is faster than a sum (measured). */
const MANY_ROWS = 64;

/** Whether a sum is one over the rows of a matrix. */
function isSumOfRows({ dtype, shape }: Value, axes: readonly number[]): boolean {
  const leading = axes.length < shape.length && [...axes].sort((a, b) => a - b).every((axis, i) => axis === i);
  return dtype === 'f32' && leading && sizeOf(shape.slice(0, axes.length)) >= MANY_ROWS;
}

const reduce: EmitOperation = (e, node) => {
  const [x] = node.inputs;
  const [y] = node.outputs;
  const kind = wordOf(node, 'kind');
  const axes = numbersOf(node, 'dimensions');
  const keepDims = flagOf(node, 'keepDims');
  const name = e.full(x.id);
  if (axes.length === 0) {
    e.define(y, name);
  } else if (kind === 'sum' && isSumOfRows(x, axes)) {
    const rows = sizeOf(x.shape.slice(0, axes.length));
    e.define(y, e.reshape(e.sumOfRows(name, rows, sizeOf(x.shape) / rows), y.shape));
  } else if (kind === 'sum') {
    e.define(y, e.sum(name, axes, keepDims));
  } else {
    const op = REDUCTIONS[kind];
    if (op === undefined) throw unsupported(node, `one of sum, ${Object.keys(REDUCTIONS).join(', ')}`, kind);
    // onnxruntime reduces no bools: 0 and 1 as integers have the same largest and smallest.
    const numbers = x.dtype === 'bool' ? e.cast(name, ELEMENT.i32) : name;
    const found = e.op(op, [numbers, e.model.i64(axes)], { keepdims: keepDims ? 1 : 0 });
    e.define(y, x.dtype === 'bool' ? e.cast(found, ELEMENT.bool) : found);
  }
};

const arg =
  (op: string): EmitOperation =>
  (e, node) => {
    const [x] = node.inputs;
    const name = x.dtype === 'bool' ? e.cast(e.full(x.id), ELEMENT.i32) : e.full(x.id);
    const found = e.op(op, [name], { axis: numberOf(node, 'dimension'), keepdims: 0 });
    e.define(node.outputs[0], e.cast(found, ELEMENT.i32));
  };

/** Operations along dimensions. */
export const REDUCTION = {
  reduce,
  argmax: arg('ArgMax'),
  argmin: arg('ArgMin'),
  cumsum: (e, node) => {
    const name = e.op('CumSum', [e.full(node.inputs[0].id), e.model.i64Scalar(numberOf(node, 'dimension'))], {
      exclusive: flagOf(node, 'exclusive') ? 1 : 0,
      reverse: flagOf(node, 'reverse') ? 1 : 0,
    });
    e.define(node.outputs[0], name);
  },
  top_k: (e, node) => {
    const [values, indices] = e.model.ops(
      'TopK',
      [e.full(node.inputs[0].id), e.model.i64([numberOf(node, 'k')])],
      { axis: -1, largest: 1, sorted: 1 },
      [undefined, undefined],
    );
    e.define(node.outputs[0], values);
    e.define(node.outputs[1], e.cast(indices, ELEMENT.i32));
  },
} satisfies Record<string, EmitOperation>;
