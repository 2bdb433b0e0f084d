import { sizeOf } from '@selfsup/core';
import type { Graph, Node, Op, Value, ValueId } from '../graph/graph.js';
import { LARGE } from './common-subexpressions.js';

/** Readers of a value that lie this many nodes apart belong to different parts of a step, forward and backward. */
const FAR = 30;

/** How long a chain of operations may be that is repeated to get one value back. */
const LONGEST = 4;

class Rematerializer {
  readonly #graph: Graph;
  readonly #ops: ReadonlySet<Op>;
  readonly #producers = new Map<ValueId, Node>();
  readonly #lastUse = new Map<ValueId, number>();
  /** Where a value was made or read last. */
  readonly #seen = new Map<ValueId, number>();
  /** The copy that stands for a value from here on. */
  readonly #copies = new Map<ValueId, ValueId>();
  readonly #values: Value[];
  readonly #nodes: Node[] = [];

  constructor(graph: Graph, ops: ReadonlySet<Op>) {
    this.#graph = graph;
    this.#ops = ops;
    this.#values = [...graph.values];
    graph.nodes.forEach((node, at) => {
      for (const id of node.outputs) this.#producers.set(id, node);
      for (const id of node.inputs) this.#lastUse.set(id, at);
    });
    for (const { value } of graph.results) this.#lastUse.set(value, Infinity);
  }

  run(): Graph {
    this.#graph.nodes.forEach((node, at) => {
      for (const id of new Set(node.inputs)) this.#bring(id, at);
      this.#nodes.push({ ...node, inputs: node.inputs.map((id) => this.#current(id)) });
      for (const id of [...node.inputs, ...node.outputs]) this.#seen.set(id, at);
    });
    return { ...this.#graph, values: this.#values, nodes: this.#nodes };
  }

  #current(id: ValueId): ValueId {
    return this.#copies.get(id) ?? id;
  }

  /** Computes a value again if it was last touched far back and can be had from what is kept anyway. */
  #bring(id: ValueId, at: number): void {
    const worthIt = sizeOf(this.#values[id].shape) > LARGE && this.#lastUse.get(id) !== Infinity;
    if (!worthIt || at - (this.#seen.get(id) ?? at) <= FAR) return;
    const chain = this.#chain(id, at, LONGEST);
    if (chain === undefined) return;
    for (const node of chain) {
      const outputs = node.outputs.map((output) => this.#copyOf(output));
      this.#nodes.push({ ...node, inputs: node.inputs.map((input) => this.#current(input)), outputs });
      node.outputs.forEach((output, i) => {
        // Statistics of a norm and the like stay what they are: they are small, and kept.
        if (sizeOf(this.#values[output].shape) > LARGE) this.#copies.set(output, outputs[i]);
        this.#seen.set(output, at);
      });
    }
  }

  #copyOf(id: ValueId): ValueId {
    const copy = this.#values.length;
    this.#values.push({ ...this.#values[id], id: copy });
    return copy;
  }

  /** The nodes to repeat for a value, in order; undefined when they need something that is gone by then. */
  #chain(id: ValueId, at: number, longest: number): readonly Node[] | undefined {
    const node = this.#producers.get(id);
    if (longest === 0 || node === undefined || !this.#ops.has(node.op)) return undefined;
    const nodes: Node[] = [];
    for (const input of node.inputs) {
      const kept = !this.#producers.has(input) || (this.#lastUse.get(input) ?? -1) > at;
      if (kept) continue;
      const before = this.#chain(input, at, longest - 1);
      if (before === undefined) return undefined;
      nodes.push(...before.filter((other) => !nodes.includes(other)));
    }
    return [...nodes, node];
  }
}

/**
 * Computes large values again where the backward part needs them, instead of keeping them from the forward part, if the
 * operations that give them are among `ops` and their inputs are kept for another reader anyway. An engine decides which
 * operations are cheap for it.
 *
 * Nodes stay in order; later runs of {@link eliminateCommon} leave the repetition alone.
 */
export function rematerialize(graph: Graph, ops: ReadonlySet<Op>): Graph {
  return new Rematerializer(graph, ops).run();
}
