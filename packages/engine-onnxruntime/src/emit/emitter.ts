import type { Graph, GraphDType, Node, Value, ValueId } from '@selfsup/compile';
import { sameShape, sizeOf, SslError } from '@selfsup/core';
import { ELEMENT } from '../element.js';
import { Float, type OnnxAttributes, type OnnxModel } from './model.js';

/** A value as it stands in the file: numpy broadcasting takes its shape to the shape of the graph's value. */
export interface Emitted {
  readonly name: string;
  readonly shape: readonly number[];
}

/** A node with its values looked up. */
export interface NodeView {
  readonly op: Node['op'];
  readonly attrs: Node['attrs'];
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
}

/**
 * Writes one operation into the file. Gets the node and defines every output with {@link Emitter.define} or
 * {@link Emitter.defer}.
 */
export type EmitOperation = (e: Emitter, node: NodeView) => void;

/** Where the emission of one graph stands: what is in the file already and under which name. */
export class Emitter {
  readonly #emitted = new Map<ValueId, Emitted>();
  readonly #deferred = new Map<ValueId, () => Emitted>();
  readonly #bytes = new Map<ValueId, string>();
  readonly #producers = new Map<ValueId, Node>();
  readonly #consumers = new Map<ValueId, Node[]>();
  readonly #results = new Set<ValueId>();

  /**
   * @param nodes - the nodes that are going to be emitted, in order
   * @param results - values that are outputs of the file
   */
  constructor(
    readonly model: OnnxModel,
    readonly graph: Graph,
    nodes: readonly Node[],
    results: Iterable<ValueId>,
  ) {
    for (const node of nodes) {
      for (const id of node.outputs) this.#producers.set(id, node);
      for (const id of node.inputs) {
        const list = this.#consumers.get(id);
        if (list === undefined) this.#consumers.set(id, [node]);
        else list.push(node);
      }
    }
    for (const id of results) this.#results.add(id);
  }

  value(id: ValueId): Value {
    return this.graph.values[id];
  }

  /** The node that computes a value in this file; undefined for inputs and constants. */
  producer(id: ValueId): Node | undefined {
    return this.#producers.get(id);
  }

  /** The one node that reads a value; undefined when there are several readers or the value is a result. */
  onlyConsumer(id: ValueId): Node | undefined {
    const list = this.#consumers.get(id);
    return list?.length === 1 && !this.#results.has(id) ? list[0] : undefined;
  }

  consumers(id: ValueId): readonly Node[] {
    return this.#consumers.get(id) ?? [];
  }

  isResult(id: ValueId): boolean {
    return this.#results.has(id);
  }

  isDefined(id: ValueId): boolean {
    return this.#emitted.has(id);
  }

  /** The single number a constant holds everywhere; undefined for anything else. */
  splat(id: ValueId): number | undefined {
    const { data, shape } = this.value(id);
    return data !== undefined && (data.length === 1 || sizeOf(shape) === 1) ? data[0] : undefined;
  }

  /** The numbers of a constant that varies along its last dimension only, seen through broadcasting. */
  shortConstant(id: ValueId): Float32Array | undefined {
    const producer = this.#producers.get(id);
    if (producer?.op === 'broadcast_in_dim') {
      const from = this.value(producer.inputs[0]).shape;
      return from.at(-1) === this.value(id).shape.at(-1) ? this.shortConstant(producer.inputs[0]) : undefined;
    }
    const { data, shape } = this.value(id);
    return data instanceof Float32Array && data.length > 1 && data.length === shape.at(-1) ? data : undefined;
  }

  /** An input of bytes: its readers see integers, made when one asks for them. */
  defineBytes(value: Value, name: string): void {
    this.#bytes.set(value.id, name);
    this.defer(value, () => this.cast(name, ELEMENT[value.dtype]));
  }

  /** The name of an input of bytes as it came in. */
  bytes(id: ValueId): string | undefined {
    return this.#bytes.get(id);
  }

  define(value: Value, name: string, shape: readonly number[] = value.shape): void {
    this.#emitted.set(value.id, { name, shape });
  }

  /** Leaves an operation out until somebody asks for its value: it may be folded into all its readers. */
  defer(value: Value, emit: () => string): void {
    this.#deferred.set(value.id, () => ({ name: emit(), shape: value.shape }));
  }

  /** A value in any shape that broadcasts to its own: for operations that broadcast. */
  operand(id: ValueId): Emitted {
    const found = this.#emitted.get(id);
    if (found !== undefined) return found;
    const deferred = this.#deferred.get(id);
    const emitted = deferred === undefined ? this.#constant(this.value(id)) : deferred();
    this.#emitted.set(id, emitted);
    return emitted;
  }

  /** A value in its full shape. */
  full(id: ValueId): string {
    const { shape } = this.value(id);
    const emitted = this.operand(id);
    if (sameShape(emitted.shape, shape)) return emitted.name;
    const name = this.op('Expand', [emitted.name, this.model.i64(shape)]);
    this.#emitted.set(id, { name, shape });
    return name;
  }

  op(op: string, inputs: readonly string[], attrs: OnnxAttributes = {}): string {
    return this.model.op(op, inputs, attrs);
  }

  reshape(name: string, shape: readonly number[]): string {
    return this.op('Reshape', [name, this.model.i64(shape)]);
  }

  transpose(name: string, perm: readonly number[]): string {
    return perm.every((p, i) => p === i) ? name : this.op('Transpose', [name], { perm });
  }

  cast(name: string, to: number): string {
    return this.op('Cast', [name], { to });
  }

  /** A scalar constant of a graph type. */
  scalar(dtype: GraphDType, value: number): string {
    if (dtype === 'f32') return this.model.f32(value);
    if (dtype === 'i32') return this.model.i32(value);
    return this.model.constant('bool', [], Uint8Array.of(value === 0 ? 0 : 1));
  }

  /** Product of two arrays with the last two dimensions of either swapped, times alpha. */
  product(a: string, b: string, options: { transA?: boolean; transB?: boolean; alpha?: number } = {}): string {
    const { transA = false, transB = false, alpha = 1 } = options;
    if (!transA && !transB && alpha === 1) return this.op('MatMul', [a, b]);
    return this.op('ms.FusedMatMul', [a, b], {
      ...(transA ? { transA: 1 } : {}),
      ...(transB ? { transB: 1 } : {}),
      ...(alpha === 1 ? {} : { alpha: new Float(alpha) }),
    });
  }

  /** Sum over some dimensions. */
  sum(name: string, axes: readonly number[], keepDims: boolean): string {
    return this.op('ReduceSum', [name, this.model.i64(axes)], { keepdims: keepDims ? 1 : 0 });
  }

  /** Sum of `rows` rows of `width` floats, [width]: as a product with ones, which takes a sixth of a ReduceSum's time. */
  sumOfRows(name: string, rows: number, width: number): string {
    const ones = this.model.f32(new Float32Array(rows).fill(1), [1, rows]);
    return this.reshape(this.product(ones, this.reshape(name, [rows, width])), [width]);
  }

  #constant(value: Value): Emitted {
    const { data, dtype, shape } = value;
    if (data === undefined) {
      throw new SslError('ENGINE_FAILED', {
        where: 'engine-onnxruntime.emit',
        expected: 'values defined before they are used',
        got: `value ${value.id} (${value.name})`,
        fix: 'run validateGraph on the graph',
      });
    }
    if (data.length === 1) return { name: this.scalar(dtype, data[0]), shape: [] };
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return { name: this.model.constant(dtype, shape, bytes), shape };
  }
}

/** An operation the engine cannot express. */
export function unsupported(node: NodeView, expected: string, got: string): SslError {
  return new SslError('UNSUPPORTED', {
    where: `engine-onnxruntime.emit ${node.op}`,
    expected,
    got,
    fix: 'use another engine for this step (tfjs runs everything) or rewrite it without this operation',
    details: { op: node.op },
  });
}
