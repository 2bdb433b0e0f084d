import type { OnnxNode } from './model.js';

/** Nodes reachable backwards from the outputs. */
function needed(nodes: readonly OnnxNode[], outputs: readonly string[]): OnnxNode[] {
  const wanted = new Set(outputs);
  const kept: OnnxNode[] = [];
  for (let i = nodes.length - 1; i >= 0; i--) {
    const node = nodes[i];
    if (!node.outputs.some((name) => wanted.has(name))) continue;
    kept.push(node);
    for (const name of node.inputs) wanted.add(name);
  }
  return kept.reverse();
}

/** Consumers and producers as numbers of nodes. */
function edges(nodes: readonly OnnxNode[]): { from: number[][]; to: number[][] } {
  const producer = new Map<string, number>();
  nodes.forEach((node, i) => node.outputs.forEach((name) => producer.set(name, i)));
  const from = nodes.map((node) => [
    ...new Set(node.inputs.map((name) => producer.get(name)).filter((i): i is number => i !== undefined)),
  ]);
  const to = nodes.map((): number[] => []);
  from.forEach((list, i) => list.forEach((j) => to[j].push(i)));
  return { from, to };
}

/**
 * Orders the nodes of a file so that onnxruntime runs them in (nearly) the order given.
 *
 * onnxruntime does not run a file from top to bottom: it walks backwards from the nodes nobody reads, the last one in
 * the file first, and at every node to the input that stands latest in the file first; a node runs once all its inputs
 * have. So of two independent branches the later one in the file runs first. A file in the order of a training step
 * would compute the gradient of the first layer before all others and hold every activation until the end.
 *
 * The order made here is the one that puts early nodes as late as it may: from the end of the file to its start, of
 * the nodes whose readers are all placed the one that is to run first.
 */
export function inExecutionOrder(nodes: readonly OnnxNode[], outputs: readonly string[]): OnnxNode[] {
  const kept = needed(nodes, outputs);
  const { from, to } = edges(kept);
  const readers = to.map((list) => list.length);
  // A reshape belongs to what it reshapes, wherever it was written.
  const heap = new SmallestFirst(kept.map((node, i) => (node.op === 'Reshape' ? (from[i][0] ?? i) + 0.5 : i)));
  readers.forEach((count, i) => count === 0 && heap.push(i));
  const placed: OnnxNode[] = [];
  for (let i = heap.pop(); i !== undefined; i = heap.pop()) {
    placed.push(kept[i]);
    for (const j of from[i]) if (--readers[j] === 0) heap.push(j);
  }
  return placed.reverse();
}

/** The order in which onnxruntime runs the nodes of a file. */
export function executionOrder(nodes: readonly OnnxNode[]): OnnxNode[] {
  const { from, to } = edges(nodes);
  const order: OnnxNode[] = [];
  const seen = new Uint8Array(nodes.length);
  const stack: { node: number; leave: boolean }[] = [];
  to.forEach((readers, node) => readers.length === 0 && stack.push({ node, leave: false }));
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const { node, leave } = top;
    if (leave) order.push(nodes[node]);
    if (leave || seen[node] === 1) continue;
    seen[node] = 1;
    stack.push({ node, leave: true });
    for (const input of [...from[node]].sort((a, b) => a - b)) {
      if (seen[input] === 0) stack.push({ node: input, leave: false });
    }
  }
  return order;
}

/** A binary heap of places in a list of ranks, smallest rank first. */
class SmallestFirst {
  readonly #ranks: readonly number[];
  readonly #items: number[] = [];

  constructor(ranks: readonly number[]) {
    this.#ranks = ranks;
  }

  push(item: number): void {
    const items = this.#items;
    let at = items.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(at, parent)) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  pop(): number | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (last === undefined || items.length === 0) return top;
    items[0] = last;
    for (let at = 0; ;) {
      const left = 2 * at + 1;
      const right = left + 1;
      let best = at;
      if (left < items.length && this.#before(left, best)) best = left;
      if (right < items.length && this.#before(right, best)) best = right;
      if (best === at) return top;
      this.#swap(best, at);
      at = best;
    }
  }

  #before(a: number, b: number): boolean {
    return this.#ranks[this.#items[a]] < this.#ranks[this.#items[b]];
  }

  #swap(a: number, b: number): void {
    const items = this.#items;
    [items[a], items[b]] = [items[b], items[a]];
  }
}
