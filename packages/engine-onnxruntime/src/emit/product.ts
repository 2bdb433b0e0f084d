import type { Node, ValueId } from '@selfsup/compile';
import { sameShape, sizeOf } from '@selfsup/core';
import { flagOf } from './attributes.js';
import type { Emitter, EmitOperation } from './emitter.js';

/** A factor of a product: a value, read with its last two dimensions swapped or not. */
interface Factor {
  readonly id: ValueId;
  readonly transposed: boolean;
}

/** Whether a permutation swaps the last two dimensions and leaves the others. */
function swapsLast(permutation: Node['attrs'][string]): boolean {
  if (typeof permutation !== 'object') return false;
  const n = permutation.length;
  return n >= 2 && permutation.every((p, i) => p === (i === n - 1 ? n - 2 : i === n - 2 ? n - 1 : i));
}

/** Reads through transposes of the last two dimensions and through reshapes that change nothing. */
function factorOf(e: Emitter, id: ValueId, transposed: boolean): Factor {
  const producer = e.producer(id);
  if (producer?.op === 'transpose' && swapsLast(producer.attrs['permutation'])) {
    return factorOf(e, producer.inputs[0], !transposed);
  }
  if (producer?.op === 'reshape' && sameShape(e.value(producer.inputs[0]).shape, e.value(id).shape)) {
    return factorOf(e, producer.inputs[0], transposed);
  }
  return { id, transposed };
}

/** The constant a product is multiplied by afterwards, if that is all that happens to it. */
function scaleAfter(e: Emitter, id: ValueId): { scale: number; output: ValueId } | undefined {
  const next = e.onlyConsumer(id);
  if (next?.op !== 'multiply') return undefined;
  const other = next.inputs[0] === id ? next.inputs[1] : next.inputs[0];
  const scale = e.splat(other);
  const output = next.outputs[0];
  if (scale === undefined || !sameShape(e.value(output).shape, e.value(id).shape)) return undefined;
  return { scale, output };
}

/** onnxruntime runs a product of rows with one matrix as one large product; with a transposed left factor it does not. */
function flattened(e: Emitter, a: Factor, b: Factor, shape: readonly number[], alpha: number): string | undefined {
  const [left, right] = [e.value(a.id).shape, e.value(b.id).shape];
  if (a.transposed || right.length !== 2 || left.length === 2) return undefined;
  const width = left[left.length - 1];
  const rows = e.reshape(e.full(a.id), [sizeOf(left) / width, width]);
  return e.reshape(e.product(rows, e.full(b.id), { transB: b.transposed, alpha }), shape);
}

const dotGeneral: EmitOperation = (e, node) => {
  const [y] = node.outputs;
  const a = factorOf(e, node.inputs[0].id, flagOf(node, 'transposeA'));
  const b = factorOf(e, node.inputs[1].id, flagOf(node, 'transposeB'));
  const after = scaleAfter(e, y.id);
  const alpha = after?.scale ?? 1;
  const name =
    flattened(e, a, b, y.shape, alpha) ??
    e.product(e.full(a.id), e.full(b.id), { transA: a.transposed, transB: b.transposed, alpha });
  e.define(after === undefined ? y : e.value(after.output), name);
};

/** Matrix products. */
export const PRODUCT = { dot_general: dotGeneral } satisfies Record<string, EmitOperation>;
