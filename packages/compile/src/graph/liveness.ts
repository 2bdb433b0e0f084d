import type { Graph, ValueId } from './graph.js';

/**
 * For every node, the values that are needed for the last time there (each once). Results are needed to the end and
 * never listed; an output nobody uses is listed at its own node.
 */
export function lastUses(graph: Graph): readonly (readonly ValueId[])[] {
  const kept = new Set(graph.results.map((r) => r.value));
  const last = new Map<ValueId, number>();
  graph.nodes.forEach((node, i) => {
    for (const id of [...node.inputs, ...node.outputs]) last.set(id, i);
  });
  const lists: ValueId[][] = graph.nodes.map(() => []);
  for (const [id, i] of last) if (!kept.has(id)) lists[i].push(id);
  return lists;
}
