import { SslError, formatShape, sizeOf, type TensorSpec } from '@selfsup/core';
import type { Attribute, Graph, GraphDType, Node, Op, Result, Value, ValueId } from './graph.js';
import { validateGraph } from './validate.js';

/** Shape, element type and, if wanted, debug name of a node's output. */
export interface OutputSpec {
  readonly shape: readonly number[];
  readonly dtype: GraphDType;
  readonly name?: string;
}

/** Constants of at most this many elements are shared when their contents agree. */
const LARGEST_SHARED = 4096;

/** The one distinct value of an array, if there is only one (compared by bits, so 0 and -0 differ and NaN is itself). */
function splatOf(data: Float32Array | Int32Array | Uint8Array): number | undefined {
  const first = data[0];
  return data.length > 0 && data.every((x) => Object.is(x, first)) ? first : undefined;
}

/**
 * Builds a {@link Graph} value by value; nodes are executed in the order they are added.
 *
 * @example
 * const b = new GraphBuilder();
 * const x = b.input('batch', 'x', { shape: [4], dtype: 'f32' });
 * const [y] = b.node('add', [x, b.scalar(1, 'f32')], {}, [{ shape: [4], dtype: 'f32' }]);
 * b.result('metric', 'y', y);
 * const graph = b.build('plus-one');
 */
export class GraphBuilder {
  readonly #values: Value[] = [];
  readonly #inputs: ValueId[] = [];
  readonly #nodes: Node[] = [];
  readonly #results: Result[] = [];
  readonly #shared = new Map<string, ValueId>();

  /** What is known about a value added before. */
  value(id: ValueId): Value {
    const value = this.#values[id];
    if (value === undefined) {
      throw new SslError('BAD_OPTION', {
        where: 'compile.GraphBuilder.value',
        expected: `the id of a value added before (0 to ${this.#values.length - 1})`,
        got: String(id),
        fix: 'use the ids that input, constant and node returned',
      });
    }
    return value;
  }

  /** Adds an input; `u8` is seen as i32 by the nodes. */
  input(role: 'state' | 'batch', name: string, spec: TensorSpec): ValueId {
    const dtype = spec.dtype === 'u8' ? 'i32' : spec.dtype;
    const id = this.#add({ shape: [...spec.shape], dtype, role, name, boundary: spec.dtype });
    this.#inputs.push(id);
    return id;
  }

  /**
   * Adds a constant. `data` has one element per element of the shape, or a single one that stands for all of them.
   * One distinct value is stored as a single element, and small constants with equal contents are one value.
   *
   * @throws SslError `SHAPE_MISMATCH` when the number of elements fits neither
   */
  constant(
    data: Float32Array | Int32Array | Uint8Array,
    shape: readonly number[],
    dtype: GraphDType,
    name = '',
  ): ValueId {
    const size = sizeOf(shape);
    const kind = dtype === 'f32' ? Float32Array : dtype === 'i32' ? Int32Array : Uint8Array;
    if (!(data instanceof kind) || (data.length !== size && data.length !== 1)) {
      throw new SslError('SHAPE_MISMATCH', {
        where: 'compile.GraphBuilder.constant',
        expected: `${kind.name} of ${size} elements (or one) for ${dtype} ${formatShape(shape)}`,
        got: `${data.constructor.name} of ${data.length}`,
        fix: 'pass data of that kind and length',
      });
    }
    const splat = size > 1 ? splatOf(data) : undefined;
    const stored = kind.from(splat === undefined ? data : [splat]);
    if (stored.length > LARGEST_SHARED) {
      return this.#add({ shape: [...shape], dtype, role: 'constant', name, data: stored });
    }
    const bits = new Uint8Array(stored.buffer).join();
    const key = `${dtype}[${shape.join()}]${bits}`;
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    const id = this.#add({ shape: [...shape], dtype, role: 'constant', name, data: stored });
    this.#shared.set(key, id);
    return id;
  }

  /** Adds a constant of one value: a scalar, or every element of a shape. */
  scalar(value: number, dtype: GraphDType, shape: readonly number[] = []): ValueId {
    const kind = dtype === 'f32' ? Float32Array : dtype === 'i32' ? Int32Array : Uint8Array;
    return this.constant(kind.of(value), shape, dtype);
  }

  /** Adds an operation; returns the ids of its outputs, in the order of `outputs`. */
  node(
    op: Op,
    inputs: readonly ValueId[],
    attrs: Readonly<Record<string, Attribute>>,
    outputs: readonly OutputSpec[],
  ): ValueId[] {
    const ids = outputs.map(({ shape, dtype, name = '' }) =>
      this.#add({ shape: [...shape], dtype, role: 'intermediate', name }),
    );
    this.#nodes.push({ op, inputs: [...inputs], outputs: ids, attrs: { ...attrs } });
    return ids;
  }

  /** Names a result: the new value of a state tensor, or a metric. */
  result(kind: 'state' | 'metric', name: string, value: ValueId): void {
    this.#results.push({ kind, name, value });
  }

  /**
   * The finished graph, validated.
   *
   * @throws SslError `BAD_OPTION` or `SHAPE_MISMATCH`, see {@link validateGraph}
   */
  build(name: string): Graph {
    const graph: Graph = {
      name,
      values: [...this.#values],
      inputs: [...this.#inputs],
      nodes: [...this.#nodes],
      results: [...this.#results],
    };
    validateGraph(graph);
    return graph;
  }

  #add(value: Omit<Value, 'id'>): ValueId {
    const id = this.#values.length;
    this.#values.push({ id, ...value });
    return id;
  }
}
