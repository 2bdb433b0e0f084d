import { sizeOf } from '@selfsup/core';
import type { Attribute, Graph, Node } from '../graph/graph.js';

/** Values with more elements than this are worth work to save their memory: they are not kept alive just to be shared. */
export const LARGE = 1 << 16;

/** Attributes as text; JSON alone takes NaN and both infinities for the same, and -0 for 0. */
function attributeKey(attrs: Readonly<Record<string, Attribute>>): string {
  return JSON.stringify(attrs, (_, value: unknown) =>
    typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0))
      ? { number: Object.is(value, -0) ? '-0' : String(value) }
      : value,
  );
}

/**
 * Merges nodes that compute the same thing from the same values.
 *
 * A large value is shared only while it is needed anyway: what the backward part computes again to save memory (attention
 * weights, for one) stays computed again.
 */
export function eliminateCommon(graph: Graph): Graph {
  const lastUse = new Map<number, number>();
  graph.nodes.forEach((node, at) => node.inputs.forEach((i) => lastUse.set(i, at)));
  graph.results.forEach((r) => lastUse.set(r.value, Infinity));
  const seen = new Map<string, readonly number[]>();
  const same = new Map<number, number>();
  const to = (id: number): number => same.get(id) ?? id;
  const isLarge = (id: number): boolean => sizeOf(graph.values[id].shape) > LARGE;
  const nodes: Node[] = [];
  graph.nodes.forEach((node, at) => {
    const inputs = node.inputs.map(to);
    const types = node.outputs.map((o) => `${graph.values[o].dtype}${graph.values[o].shape.join()}`);
    const key = `${node.op}(${inputs.join()})${attributeKey(node.attrs)}${types.join(';')}`;
    const first = seen.get(key);
    if (first === undefined || first.some((o) => isLarge(o) && (lastUse.get(o) ?? -1) < at)) {
      seen.set(key, node.outputs);
      nodes.push({ ...node, inputs });
      return;
    }
    node.outputs.forEach((o, i) => {
      same.set(o, first[i]);
      lastUse.set(first[i], Math.max(lastUse.get(first[i]) ?? -1, lastUse.get(o) ?? -1));
    });
  });
  return { ...graph, nodes, results: graph.results.map((r) => ({ ...r, value: to(r.value) })) };
}
