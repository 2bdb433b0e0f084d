import { sizeOf } from '@selfsup/core';
import { mayRound } from './estimate.js';
import type { Graph, Op, Value } from './graph.js';

/** Operations whose inputs come from memory and whose results go there: compilers merge all others with neighbours. */
const APART: ReadonlySet<Op> = new Set<Op>([
  'dot_general',
  'convolution',
  'convolution_input_grad',
  'convolution_filter_grad',
  'attention',
  'attention_grad',
  'cholesky',
  'triangular_solve',
  'top_k',
]);

const FULL = 4;

/**
 * Bytes that one run moves between memory and processors at the least: every input read, every result written, and what
 * products, attention and factorisations read and write. Element-wise operations count as merged with those, and nothing
 * stays in a cache from one to the next.
 *
 * @param factorBytes - Bytes of a number in the factors of products that may be rounded, e.g. 2 with bfloat16.
 */
export function estimateTraffic(graph: Graph, factorBytes = FULL): number {
  const bytes = (ids: readonly number[], each: (value: Value) => number): number =>
    ids.reduce((sum, id) => sum + sizeOf(graph.values[id].shape) * each(graph.values[id]), 0);
  const boundary = bytes(graph.inputs, ({ boundary }) => (boundary === 'u8' ? 1 : FULL));
  const results = bytes(
    graph.results.map(({ value }) => value),
    () => FULL,
  );
  const inner = graph.nodes
    .filter(({ op }) => APART.has(op))
    .map((node) => bytes(node.inputs, () => (mayRound(node) ? factorBytes : FULL)) + bytes(node.outputs, () => FULL));
  return inner.reduce((sum, each) => sum + each, boundary + results);
}
