import type { Graph, Node, Op, Result, Value, ValueId } from '@selfsup/compile';
import { bytesOf, sizeOf } from '@selfsup/core';

/**
 * A step in two phases: `first` computes all metrics and whatever is heavy; `second` is the rest, element-wise work on
 * the state, which can be left out when the state is to stay as it was.
 */
export interface Phases {
  readonly first: readonly Node[];
  readonly second: readonly Node[];
  /** Values the first phase hands to the second. */
  readonly crossing: readonly ValueId[];
  /** New state, written by the second phase; state that stays as it is does not appear. */
  readonly updates: readonly StateUpdate[];
}

/** A new value of a state tensor. */
export interface StateUpdate {
  readonly result: Result;
  /** Whether it may be written over the old value while the second phase runs. */
  readonly inPlace: boolean;
}

const CHEAP: ReadonlySet<Op> = new Set<Op>([
  'add',
  'subtract',
  'multiply',
  'divide',
  'maximum',
  'minimum',
  'power',
  'compare',
  'select',
  'negate',
  'abs',
  'sign',
  'exponential',
  'log',
  'sqrt',
  'rsqrt',
  'floor',
  'ceil',
  'round_nearest_even',
  'tanh',
  'logistic',
  'and',
  'or',
  'not',
  'is_finite',
  'convert',
  'reshape',
  'broadcast_in_dim',
]);

/** Results that may share the memory of their input. */
const VIEWS: ReadonlySet<Op> = new Set<Op>(['reshape', 'broadcast_in_dim', 'convert', 'transpose']);

const sizeInBytes = (value: Value): number => sizeOf(value.shape) * bytesOf(value.dtype);

/** Everything the given values are computed from. */
function ancestors(producers: ReadonlyMap<ValueId, Node>, from: Iterable<ValueId>): Set<Node> {
  const found = new Set<Node>();
  const stack = [...from];
  for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
    const node = producers.get(id);
    if (node === undefined || found.has(node)) continue;
    found.add(node);
    stack.push(...node.inputs);
  }
  return found;
}

class Planner {
  readonly #graph: Graph;
  readonly #producers = new Map<ValueId, Node>();
  readonly #consumers = new Map<ValueId, Node[]>();
  readonly #nodes: readonly Node[];
  readonly #updates: readonly Result[];

  constructor(graph: Graph) {
    this.#graph = graph;
    for (const node of graph.nodes) for (const id of node.outputs) this.#producers.set(id, node);
    this.#updates = graph.results.filter((r) => r.kind === 'state' && !this.#staysAsItIs(r));
    const wanted = graph.results.filter((r) => r.kind === 'metric').concat(this.#updates);
    const live = ancestors(
      this.#producers,
      wanted.map((r) => r.value),
    );
    this.#nodes = graph.nodes.filter((node) => live.has(node));
    for (const node of this.#nodes) {
      for (const id of new Set(node.inputs)) {
        const list = this.#consumers.get(id);
        if (list === undefined) this.#consumers.set(id, [node]);
        else list.push(node);
      }
    }
  }

  plan(): Phases {
    const second = this.#tail();
    this.#giveBackReductions(second);
    const nodes = this.#nodes.filter((node) => second.has(node));
    const used = new Set([...nodes.flatMap((node) => node.inputs), ...this.#updates.map((r) => r.value)]);
    return {
      first: this.#nodes.filter((node) => !second.has(node)),
      second: nodes,
      crossing: [...used].filter((id) => {
        const node = this.#producers.get(id);
        return node !== undefined && !second.has(node);
      }),
      updates: this.#updates.map((result) => ({ result, inPlace: this.#safeInPlace(result, second) })),
    };
  }

  #staysAsItIs({ name, value }: Result): boolean {
    const { role, name: from } = this.#graph.values[value];
    return role === 'state' && from === name;
  }

  /** Cheap nodes that lead to nothing but new state. */
  #tail(): Set<Node> {
    const metrics = new Set(this.#graph.results.filter((r) => r.kind === 'metric').map((r) => r.value));
    const tail = new Set<Node>();
    for (let i = this.#nodes.length - 1; i >= 0; i--) {
      const node = this.#nodes[i];
      const readers = node.outputs.flatMap((id) => this.#consumers.get(id) ?? []);
      if (CHEAP.has(node.op) && !node.outputs.some((id) => metrics.has(id)) && readers.every((r) => tail.has(r))) {
        tail.add(node);
      }
    }
    return tail;
  }

  /** A node that makes less of what only it reads (a sum of two gradients) leaves less to be kept between phases. */
  #giveBackReductions(tail: Set<Node>): void {
    for (const node of this.#nodes) {
      if (!tail.has(node)) continue;
      const read = [...new Set(node.inputs)].map((id) => this.#graph.values[id]);
      const large = read.filter((v) => sizeOf(v.shape) > 1);
      const ownOnly = large.every((v) => {
        const from = this.#producers.get(v.id);
        return from !== undefined && !tail.has(from) && this.#consumers.get(v.id)?.length === 1;
      });
      const smallAreEarly = read.every((v) => {
        const from = this.#producers.get(v.id);
        return from === undefined || !tail.has(from);
      });
      const before = large.reduce((sum, v) => sum + sizeInBytes(v), 0);
      const after = node.outputs.reduce((sum, id) => sum + sizeInBytes(this.#graph.values[id]), 0);
      if (ownOnly && smallAreEarly && after < before) tail.delete(node);
    }
  }

  /**
   * New state may be written over the old while the phase runs when every reader of the old value has surely run by
   * then: it is the writer itself (element by element), or the writer depends on it.
   */
  #safeInPlace({ name, value }: Result, tail: ReadonlySet<Node>): boolean {
    const old = this.#graph.inputs.find((id) => {
      const input = this.#graph.values[id];
      return input.role === 'state' && input.name === name;
    });
    const writer = this.#producers.get(value);
    if (old === undefined) return true;
    const copied = this.#updates.some((r) => r.value === old);
    const readers = this.#readers(old).filter((node) => tail.has(node));
    if (writer === undefined || !tail.has(writer)) return readers.length === 0 && !copied;
    const before = ancestors(this.#producers, [value]);
    const twice = this.#updates.filter((r) => r.value === value).length > 1;
    return !copied && !twice && readers.every((node) => before.has(node));
  }

  /** Readers of a value, also through operations that only look at its memory in another way. */
  #readers(id: ValueId): Node[] {
    return (this.#consumers.get(id) ?? []).flatMap((node) =>
      VIEWS.has(node.op) ? [node, ...node.outputs.flatMap((output) => this.#readers(output))] : [node],
    );
  }
}

/** Splits a step into what decides whether it counts, and the update of the state. */
export function planPhases(graph: Graph): Phases {
  return new Planner(graph).plan();
}
