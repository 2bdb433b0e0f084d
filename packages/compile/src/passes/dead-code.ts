import type { Graph, Value } from '../graph/graph.js';

/** Drops nodes whose results nobody needs, then values that are no longer mentioned (inputs stay). */
export function eliminateDead(graph: Graph): Graph {
  const needed = new Set<number>(graph.results.map((r) => r.value));
  const kept = [...graph.nodes].reverse().filter((node) => {
    if (!node.outputs.some((o) => needed.has(o))) return false;
    node.inputs.forEach((i) => needed.add(i));
    return true;
  });
  const nodes = kept.reverse();
  const alive = new Set<number>([...graph.inputs, ...graph.results.map((r) => r.value)]);
  for (const node of nodes) for (const id of [...node.inputs, ...node.outputs]) alive.add(id);
  const renumbered = new Map<number, number>();
  const values: Value[] = [];
  for (const value of graph.values) {
    if (!alive.has(value.id)) continue;
    renumbered.set(value.id, values.length);
    values.push({ ...value, id: values.length });
  }
  const to = (id: number): number => renumbered.get(id) as number;
  return {
    ...graph,
    values,
    inputs: graph.inputs.map(to),
    nodes: nodes.map((n) => ({ ...n, inputs: n.inputs.map(to), outputs: n.outputs.map(to) })),
    results: graph.results.map((r) => ({ ...r, value: to(r.value) })),
  };
}
