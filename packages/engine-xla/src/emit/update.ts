import type { Graph, Node, ValueId } from '@selfsup/compile';

/** The nodes that lead to nothing but new state: what a step does after its flag and its metrics are known. */
export function updateNodes(graph: Graph): ReadonlySet<Node> {
  const needed = new Set(graph.results.filter((r) => r.kind === 'metric').map((r) => r.value));
  const update = new Set<Node>();
  for (const node of [...graph.nodes].reverse()) {
    if (node.outputs.some((id) => needed.has(id))) for (const id of node.inputs) needed.add(id);
    else update.add(node);
  }
  return update;
}

/** Values that some of the nodes read. */
export function readBy(nodes: Iterable<Node>): ReadonlySet<ValueId> {
  return new Set([...nodes].flatMap((node) => node.inputs));
}
