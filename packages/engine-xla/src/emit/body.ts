import { rematerialize, type Graph, type Node, type Op, type Result, type Value, type ValueId } from '@selfsup/compile';
import { SslError } from '@selfsup/core';
import { gathered } from './mesh.js';
import type { EmitOperation } from './operation.js';
import { OPERATIONS } from './operations.js';
import { readBy, updateNodes } from './update.js';
import { FunctionWriter, type FactorPrecision, type Tensor } from './writer.js';

/** Operations repeated in the backward part rather than have their results kept. */
const CHEAP_TO_REPEAT: ReadonlySet<Op> = new Set<Op>(['gelu', 'layer_norm', 'transpose', 'reshape']);

/** True where a flag, bool or f32, says that the new state is to be kept. */
function keeps(w: FunctionWriter, flag: Tensor): Tensor {
  const scalar = w.reshape(flag, []);
  return flag.dtype === 'bool' ? scalar : w.compare('GT', w.unary('abs', scalar), 0);
}

/** Whether a result is the state it would replace. */
function isUnchanged(graph: Graph, { kind, name, value }: Result): boolean {
  const from = graph.values[value];
  return kind === 'state' && from.role === 'state' && from.name === name;
}

/** The body of `main` for one graph. */
export class Body {
  readonly writer: FunctionWriter;
  /** Arguments as they come in, in the order of the graph's inputs. */
  readonly arguments: readonly Tensor[];
  /** Results that are returned: all but state that stays as it is. */
  readonly results: readonly Result[];
  readonly #graph: Graph;
  /** Values from this one on are repetitions of earlier ones. */
  readonly #firstRepeated: ValueId;
  readonly #tensors = new Map<ValueId, Tensor>();
  /** Repeated values that wait for something of the backward part. */
  readonly #late = new Set<ValueId>();
  /** State that is split over the devices. */
  readonly #split = new Map<ValueId, Tensor>();
  readonly #stateArguments = new Map<string, Tensor>();
  readonly #stateResults = new Map<ValueId, Result[]>();
  readonly #committed = new Map<Result, Tensor>();

  /** @param isSplit - whether the argument with an index is state that is split over the devices */
  constructor(given: Graph, precision: FactorPrecision, isSplit: (index: number) => boolean = () => false) {
    this.writer = new FunctionWriter(precision);
    this.#graph = rematerialize(given, CHEAP_TO_REPEAT);
    this.#firstRepeated = given.values.length;
    this.results = given.results.filter((r) => !isUnchanged(given, r));
    this.arguments = given.inputs.map((id, i) => {
      const { shape, dtype, boundary = dtype } = given.values[id];
      return { name: `%arg${i}`, shape, dtype: boundary };
    });
    given.inputs.forEach((id, i) => {
      this.#tensors.set(id, this.arguments[i]);
      if (given.values[id].role === 'state') this.#stateArguments.set(given.values[id].name, this.arguments[i]);
      if (isSplit(i)) this.#split.set(id, this.arguments[i]);
    });
    for (const result of this.results) {
      if (result.kind === 'state') {
        this.#stateResults.set(result.value, [...(this.#stateResults.get(result.value) ?? []), result]);
      }
    }
  }

  /**
   * Writes all nodes; returns the results as they leave `main`.
   *
   * @param flag - value that decides whether the new state is kept
   * @throws SslError `UNSUPPORTED` naming the operation
   */
  emit(flag: ValueId | undefined): readonly Tensor[] {
    const { nodes } = this.#graph;
    const update = updateNodes(this.#graph);
    this.#gather(readBy(nodes.filter((node) => !update.has(node))));
    nodes.forEach((node, at) => {
      if (!update.has(node)) this.#emitNode(node, at);
    });
    this.writer.location = 'commit';
    const kept = flag === undefined ? undefined : this.#flag(flag);
    const read = readBy(update);
    for (const [id, argument] of this.#split) this.#tensors.set(id, argument);
    nodes.forEach((node, at) => {
      if (!update.has(node)) return;
      this.#emitNode(node, at);
      for (const id of node.outputs) this.#commit(id, kept, read.has(id));
    });
    return this.results.map((result) => this.#committed.get(result) ?? this.#returned(result, kept));
  }

  /**
   * The flag as a value of its own. XLA fuses what is a single number into whatever reads it, a sum over all gradients too:
   * every update would add up a hundred numbers first, and four fifths of the program would be these sums.
   */
  #flag(id: ValueId): Tensor {
    return this.writer.barrier([keeps(this.writer, this.#tensor(id))])[0];
  }

  /**
   * Split state is put together where features and gradients come from, so that the batch alone is split there; its
   * update is computed where it lies.
   */
  #gather(read: ReadonlySet<ValueId>): void {
    for (const [id, argument] of this.#split) {
      this.writer.location = this.#graph.values[id].name;
      if (read.has(id)) this.#tensors.set(id, gathered(this.writer, argument));
    }
  }

  #emitNode(node: Node, at: number): void {
    const emit: EmitOperation | undefined = OPERATIONS[node.op];
    if (emit === undefined) {
      throw new SslError('UNSUPPORTED', {
        where: 'engine-xla.emit',
        expected: 'an operation of the graph',
        got: node.op,
        fix: 'use a version of this engine that belongs to @selfsup/compile',
        details: { op: node.op },
      });
    }
    const outputs = node.outputs.map((id) => this.#graph.values[id]);
    this.writer.location = outputs[0].name === '' ? `${node.op} %${outputs[0].id}` : outputs[0].name;
    const inputs = this.#isRepeated(node) ? this.#delayed(node, at) : node.inputs.map((id) => this.#tensor(id));
    const written = emit(this.writer, { op: node.op, attrs: node.attrs, inputs, outputs });
    outputs.forEach((value, i) => this.#tensors.set(value.id, written[i]));
  }

  #isRepeated(node: Node): boolean {
    return node.outputs[0] >= this.#firstRepeated;
  }

  /**
   * Inputs of a repetition, which has to wait for what its reader waits for as well: otherwise XLA would take it for the
   * same as the earlier computation, or run it right after that one, and keep the result.
   */
  #delayed(node: Node, at: number): Tensor[] {
    const inputs = node.inputs.map((id) => this.#tensor(id));
    const isLate = this.#late.has(node.inputs[0]);
    // A reshape alone repeats nothing: it costs nothing.
    if (node.op === 'reshape' && !isLate) return inputs;
    for (const id of node.outputs) this.#late.add(id);
    const other = isLate ? undefined : this.#otherInputOfReader(at);
    if (other === undefined) return inputs;
    const [input, waited] = this.writer.barrier([inputs[0], this.#tensor(other)]);
    this.#tensors.set(other, waited);
    return [input, ...inputs.slice(1)];
  }

  /** What the reader of the repetition at a place reads besides, the latest of it. */
  #otherInputOfReader(at: number): ValueId | undefined {
    const reader = this.#graph.nodes.find((node, i) => i > at && !this.#isRepeated(node));
    const others = reader?.inputs.filter(
      (id) => id < this.#firstRepeated && this.#graph.values[id].role === 'intermediate',
    );
    return others === undefined || others.length === 0 ? undefined : Math.max(...others);
  }

  /**
   * A value that is new state, as it is committed. What is computed from it is computed from that, so that every state
   * tensor can be written over its old value at once: XLA would copy the old one where several operations read it.
   */
  #commit(id: ValueId, kept: Tensor | undefined, isRead: boolean): void {
    const results = this.#stateResults.get(id) ?? [];
    for (const result of results) this.#committed.set(result, this.#returned(result, kept));
    const [first] = results;
    const committed = results.length === 1 ? this.#committed.get(first) : undefined;
    if (!isRead || committed === undefined || committed.dtype !== this.#graph.values[id].dtype) return;
    const [written] = this.writer.barrier([committed]);
    this.#committed.set(first, written);
    this.#tensors.set(id, written);
  }

  #returned({ kind, name, value }: Result, kept: Tensor | undefined): Tensor {
    const found = this.#tensor(value);
    const old = this.#stateArguments.get(name);
    if (kind === 'metric' || old === undefined) return found;
    this.writer.location = name;
    const next = this.writer.convert(found, old.dtype);
    return kept === undefined ? next : this.writer.select(kept, next, old, next.shape);
  }

  /** A value as the graph sees it: bytes are integers, constants are written where they are first read. */
  #tensor(id: ValueId): Tensor {
    const value = this.#graph.values[id];
    const found = this.#tensors.get(id) ?? this.#constant(value);
    const seen = this.writer.convert(found, value.dtype);
    this.#tensors.set(id, seen);
    return seen;
  }

  #constant({ data, dtype, shape, id, name }: Value): Tensor {
    if (data !== undefined) return this.writer.constant(dtype, shape, data);
    throw new SslError('ENGINE_FAILED', {
      where: 'engine-xla.emit',
      expected: 'values defined before they are used',
      got: `value ${id} (${name})`,
      fix: 'run validateGraph on the graph',
    });
  }
}
