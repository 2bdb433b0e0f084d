import { ELEMENT } from '../element.js';
import { numberOf } from './attributes.js';
import type { EmitOperation } from './emitter.js';
import { range } from './shape.js';

/** Rows of zeros with the updates added at their indices. */
const scatterAdd: EmitOperation = (e, node) => {
  const [indices, updates] = node.inputs;
  const [y] = node.outputs;
  const zeros = e.op('Expand', [e.scalar(y.dtype, 0), e.model.i64(y.shape)]);
  const places = e.reshape(e.cast(e.full(indices.id), ELEMENT.i64), [indices.shape[0], 1]);
  e.define(y, e.op('ScatterND', [zeros, places, e.full(updates.id)], { reduction: 'add' }));
};

const oneHot: EmitOperation = (e, node) => {
  const [indices] = node.inputs;
  const [y] = node.outputs;
  const depth = numberOf(node, 'depth');
  const places = e.model.constant('i32', [depth], new Uint8Array(Int32Array.from(range(depth)).buffer));
  const column = e.reshape(e.full(indices.id), [...indices.shape, 1]);
  const hit = e.op('Equal', [column, places]);
  const [on, off] = [numberOf(node, 'on'), numberOf(node, 'off')];
  if (on === 1 && off === 0) e.define(y, e.cast(hit, ELEMENT[y.dtype]));
  else if (y.dtype === 'bool') e.define(y, on === 0 && off === 1 ? e.op('Not', [hit]) : hit);
  else e.define(y, e.op('Where', [hit, e.scalar(y.dtype, on), e.scalar(y.dtype, off)]));
};

/** Reading and adding at indices. */
export const INDEXING = {
  gather: (e, node) => {
    const [x, indices] = node.inputs;
    const name = e.op('Gather', [e.full(x.id), e.full(indices.id)], { axis: numberOf(node, 'dimension') });
    e.define(node.outputs[0], name);
  },
  scatter_add: scatterAdd,
  one_hot: oneHot,
} satisfies Record<string, EmitOperation>;
