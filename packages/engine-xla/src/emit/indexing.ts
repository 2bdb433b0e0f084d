import { numberOf } from '@selfsup/compile';
import type { EmitOperation } from './operation.js';
import { combination } from './region.js';
import { range, type FunctionWriter, type Tensor } from './writer.js';

/** Elements of x along one dimension; the dimension is replaced by the shape of the indices. */
export function take(w: FunctionWriter, x: Tensor, indices: Tensor, axis: number): Tensor {
  const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
  const count = indices.shape.length;
  const offsets = range(shape.length).filter((i) => i < axis || i >= axis + count);
  const sizes = x.shape.map((d, i) => (i === axis ? 1 : d));
  const numbers = `#stablehlo.gather<offset_dims = [${offsets.join(', ')}], collapsed_slice_dims = [${axis}], start_index_map = [${axis}], index_vector_dim = ${count}>`;
  const attributes = `{dimension_numbers = ${numbers}, slice_sizes = array<i64: ${sizes.join(', ')}>, indices_are_sorted = false}`;
  const text = `"stablehlo.gather"(${x.name}, ${indices.name}) ${attributes}`;
  return w.line(text, [x, indices], { shape, dtype: x.dtype });
}

const gather: EmitOperation = (w, { attrs, inputs: [x, indices] }) => [
  take(w, x, indices, numberOf(attrs, 'dimension')),
];

const scatterAdd: EmitOperation = (w, { inputs: [indices, updates], outputs: [y] }) => {
  const zeros = w.scalar(y.dtype, 0, y.shape);
  const windows = range(updates.shape.length).slice(1);
  const numbers = `#stablehlo.scatter<update_window_dims = [${windows.join(', ')}], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>`;
  const attributes = `{scatter_dimension_numbers = ${numbers}, indices_are_sorted = false, unique_indices = false}`;
  const operands = [zeros, indices, updates];
  const names = operands.map((x) => x.name).join(', ');
  return [w.line(`"stablehlo.scatter"(${names}) (${combination('add', y.dtype)}) ${attributes}`, operands, y)];
};

const oneHot: EmitOperation = (w, { attrs, inputs: [indices], outputs: [y] }) => {
  const last = y.shape.length - 1;
  const places = w.iota('i32', y.shape, last);
  const wanted = w.broadcastTo(indices, y.shape, range(last));
  const [on, off] = ['on', 'off'].map((name) => w.scalar(y.dtype, numberOf(attrs, name)));
  return [w.select(w.compare('EQ', places, wanted), on, off)];
};

/** Reading and adding at indices. */
export const INDEXING = { gather, scatter_add: scatterAdd, one_hot: oneHot } satisfies Record<string, EmitOperation>;
