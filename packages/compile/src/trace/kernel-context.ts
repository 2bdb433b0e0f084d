import * as tf from '@tensorflow/tfjs-core';
import { SslError } from '@selfsup/core';
import type { Attribute, GraphDType, Op, ValueId } from '../graph/graph.js';
import type { TracingBackend } from './backend.js';

/** A traced value with its type. */
export interface Traced {
  readonly id: ValueId;
  readonly shape: readonly number[];
  readonly dtype: GraphDType;
}

export type Attributes = Readonly<Record<string, Attribute>>;

/** What a kernel rule gets: named inputs (a list under its position for variadic kernels) and attributes. */
export interface KernelCall {
  /** Input by name. */
  in(name: string): Traced;
  has(name: string): boolean;
  /** All inputs of a variadic kernel, in order. */
  readonly list: readonly Traced[];
  readonly attrs: Readonly<Record<string, unknown>>;
  /** Elements of an input whose values are known while tracing. */
  known(name: string): Float32Array | Int32Array | Uint8Array | undefined;
  readonly kernelName: string;
}

/** Turns one tfjs kernel call into graph nodes. */
export type KernelRule = (g: GraphWriter, call: KernelCall) => Traced | Traced[];

/** Appends nodes with inferred result types; the vocabulary kernel rules are written in. */
export class GraphWriter {
  readonly #backend: TracingBackend;

  constructor(backend: TracingBackend) {
    this.#backend = backend;
  }

  emit(op: Op, inputs: readonly Traced[], shape: readonly number[], dtype: GraphDType, attrs: Attributes = {}): Traced {
    return this.emitAll(op, inputs, [{ shape, dtype }], attrs)[0];
  }

  emitAll(
    op: Op,
    inputs: readonly Traced[],
    outputs: readonly { shape: readonly number[]; dtype: GraphDType }[],
    attrs: Attributes = {},
  ): Traced[] {
    const ids = this.#backend.builder.node(
      op,
      inputs.map((t) => t.id),
      attrs,
      outputs,
    );
    return outputs.map((o, i) => ({ id: ids[i], shape: o.shape, dtype: o.dtype }));
  }

  constant(data: Float32Array | Int32Array | Uint8Array, shape: readonly number[], dtype: GraphDType): Traced {
    return { id: this.#backend.builder.constant(data, shape, dtype), shape, dtype };
  }

  /** A scalar constant. */
  scalar(value: number, dtype: GraphDType = 'f32'): Traced {
    return this.splat(value, [], dtype);
  }

  /** A constant of one repeated value (stored as a splat). */
  splat(value: number, shape: readonly number[], dtype: GraphDType): Traced {
    const data =
      dtype === 'f32' ? Float32Array.of(value) : dtype === 'i32' ? Int32Array.of(value) : Uint8Array.of(value);
    return this.constant(data, shape, dtype);
  }

  /** Element-wise operation of one argument. */
  unary(op: Op, x: Traced, dtype: GraphDType = x.dtype): Traced {
    return this.emit(op, [x], x.shape, dtype);
  }

  /** Element-wise operation of two arguments, broadcast as numpy does. */
  binary(op: Op, a: Traced, b: Traced, dtype: GraphDType = a.dtype): Traced {
    return this.emit(op, [a, b], tf.broadcast_util.assertAndGetBroadcastShape([...a.shape], [...b.shape]), dtype);
  }

  compare(direction: 'EQ' | 'NE' | 'LT' | 'LE' | 'GT' | 'GE', a: Traced, b: Traced): Traced {
    const shape = tf.broadcast_util.assertAndGetBroadcastShape([...a.shape], [...b.shape]);
    return this.emit('compare', [a, b], shape, 'bool', { direction });
  }

  select(condition: Traced, a: Traced, b: Traced): Traced {
    const ab = tf.broadcast_util.assertAndGetBroadcastShape([...a.shape], [...b.shape]);
    const shape = tf.broadcast_util.assertAndGetBroadcastShape([...condition.shape], ab);
    return this.emit('select', [condition, a, b], shape, a.dtype);
  }

  convert(x: Traced, dtype: GraphDType): Traced {
    return x.dtype === dtype ? x : this.emit('convert', [x], x.shape, dtype);
  }

  reshape(x: Traced, shape: readonly number[]): Traced {
    return this.emit('reshape', [x], shape, x.dtype);
  }

  broadcast(x: Traced, shape: readonly number[]): Traced {
    return this.emit('broadcast_in_dim', [x], shape, x.dtype);
  }

  transpose(x: Traced, permutation: readonly number[]): Traced {
    return this.emit(
      'transpose',
      [x],
      permutation.map((p) => x.shape[p]),
      x.dtype,
      { permutation },
    );
  }

  slice(x: Traced, start: readonly number[], limit: readonly number[], strides = x.shape.map(() => 1)): Traced {
    const shape = start.map((s, i) => Math.max(0, Math.ceil((limit[i] - s) / strides[i])));
    return this.emit('slice', [x], shape, x.dtype, { start, limit, strides });
  }

  pad(x: Traced, low: readonly number[], high: readonly number[], value = 0): Traced {
    const shape = x.shape.map((d, i) => d + low[i] + high[i]);
    return this.emit('pad', [x], shape, x.dtype, { low, high, value });
  }

  concatenate(parts: readonly Traced[], dimension: number): Traced {
    if (parts.length === 1) return parts[0];
    const shape = [...parts[0].shape];
    shape[dimension] = parts.reduce((n, p) => n + p.shape[dimension], 0);
    return this.emit('concatenate', parts, shape, parts[0].dtype, { dimension });
  }

  reduce(
    kind: 'sum' | 'max' | 'min' | 'prod' | 'any' | 'all',
    x: Traced,
    dimensions: readonly number[],
    keepDims = false,
  ): Traced {
    const shape = keepDims
      ? x.shape.map((d, i) => (dimensions.includes(i) ? 1 : d))
      : x.shape.filter((_, i) => !dimensions.includes(i));
    return this.emit('reduce', [x], shape, x.dtype, { kind, dimensions, keepDims });
  }

  /** Batched matrix product; batch dimensions broadcast. */
  matMul(a: Traced, b: Traced, transposeA = false, transposeB = false, more: Attributes = {}): Traced {
    const m = a.shape[a.shape.length - (transposeA ? 1 : 2)];
    const n = b.shape[b.shape.length - (transposeB ? 2 : 1)];
    const batch = tf.broadcast_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
    return this.emit('dot_general', [a, b], [...batch, m, n], 'f32', { transposeA, transposeB, ...more });
  }

  unsupported(call: KernelCall, what: string, fix: string): never {
    throw new SslError('UNSUPPORTED', {
      where: 'compile.trace',
      expected: `a form of ${call.kernelName} that can be compiled`,
      got: what,
      fix,
    });
  }
}
