import * as tf from '@tensorflow/tfjs-core';
import { formatShape, sizeOf, SslError } from '@selfsup/core';
import type { GraphBuilder } from '../graph/builder.js';
import type { GraphDType, ValueId } from '../graph/graph.js';

/** Name under which the tracer registers itself with tfjs. */
export const TRACE_BACKEND = 'selfsup-trace';

/** Captured tensors above this size are refused: they would be baked into the program as constants. */
export const MAX_CAPTURED_BYTES = 4 << 20;

interface Entry {
  /** The traced value; constants get theirs when they are first used. */
  value: ValueId | undefined;
  readonly known:
    | {
        readonly data: Float32Array | Int32Array | Uint8Array;
        readonly shape: readonly number[];
        readonly dtype: GraphDType;
      }
    | undefined;
  refCount: number;
}

export function graphDType(dtype: tf.DataType): GraphDType {
  switch (dtype) {
    case 'float32':
      return 'f32';
    case 'int32':
      return 'i32';
    case 'bool':
      return 'bool';
    default:
      throw new SslError('UNSUPPORTED', {
        where: 'compile.trace',
        expected: 'tensors of dtype float32, int32 or bool',
        got: dtype,
        fix: 'convert the tensor before the step; complex and string tensors cannot be compiled',
      });
  }
}

export function tfjsDType(dtype: GraphDType): 'float32' | 'int32' | 'bool' {
  return dtype === 'f32' ? 'float32' : dtype === 'i32' ? 'int32' : 'bool';
}

/** First stack line that is neither ours nor tfjs's: where the user's code asked for the value. */
function callerLine(): string {
  const lines = (new Error().stack ?? '').split('\n').slice(1);
  const own = /@tensorflow|tf-core|tfjs|compile[/\\](src|dist)|node:internal/;
  return lines.find((line) => !own.test(line))?.trim() ?? 'unknown line';
}

/**
 * A tfjs backend without numbers: every kernel call appends to a graph. Values that are known (constants written by
 * the step, tensors captured from another backend) can still be read; traced values cannot.
 */
export class TracingBackend extends tf.KernelBackend {
  readonly #storage: tf.DataStorage<Entry>;
  #builder: GraphBuilder | undefined;

  constructor() {
    super();
    this.#storage = new tf.DataStorage<Entry>(this, tf.engine());
  }

  /** The graph being recorded. */
  get builder(): GraphBuilder {
    if (this.#builder === undefined) {
      throw new SslError('UNSUPPORTED', {
        where: 'compile.trace',
        expected: 'tensors of a trace to be used inside the traced function only',
        got: 'a traced tensor used after its trace ended',
        fix: 'return what you need from the step instead of keeping it in an outer variable',
      });
    }
    return this.#builder;
  }

  begin(builder: GraphBuilder): void {
    this.#builder = builder;
  }

  end(): void {
    this.#builder = undefined;
  }

  /** Wraps a traced value as tensor data. */
  info(value: ValueId, shape: readonly number[], dtype: GraphDType): tf.TensorInfo {
    const dataId = {};
    this.#storage.set(dataId, { value, known: undefined, refCount: 1 });
    return { dataId, shape: [...shape], dtype: tfjsDType(dtype) };
  }

  /** The graph value behind a tensor; known data becomes a constant. */
  graphValue(info: tf.TensorInfo): ValueId {
    const entry = this.#storage.get(info.dataId);
    const known = entry.known;
    if (known === undefined) return entry.value as ValueId;
    const data = known.data;
    const splat = data.length > 1 && data.every((v) => v === data[0]);
    const bytes = splat ? 0 : data.byteLength;
    if (bytes > MAX_CAPTURED_BYTES) {
      throw new SslError('UNSUPPORTED', {
        where: 'compile.trace',
        expected: `captured tensors of at most ${MAX_CAPTURED_BYTES >> 20} MB`,
        got: `a captured ${tfjsDType(known.dtype)} tensor of shape ${formatShape(info.shape)} (${(bytes / 2 ** 20).toFixed(1)} MB)`,
        fix: 'pass it to the step as state or batch instead of capturing it',
        details: { shape: [...info.shape], dtype: known.dtype, bytes },
      });
    }
    // Not remembered in the entry: an outer tensor may be captured by several traces.
    return this.builder.constant(splat ? data.slice(0, 1) : data, info.shape, known.dtype);
  }

  /** The elements of a tensor whose values are known while tracing. */
  knownData(info: tf.TensorInfo): Float32Array | Int32Array | Uint8Array | undefined {
    return this.#storage.get(info.dataId).known?.data;
  }

  override write(values: tf.BackendValues | null, shape: number[], dtype: tf.DataType): tf.DataId {
    const dataId = {};
    this.move(dataId, values as tf.BackendValues, shape, dtype, 1);
    return dataId;
  }

  override move(
    dataId: tf.DataId,
    values: tf.BackendValues,
    shape: number[],
    dtype: tf.DataType,
    refCount: number,
  ): void {
    const kind = graphDType(dtype);
    const n = sizeOf(shape);
    const source = (values ?? new Float32Array(n)) as ArrayLike<number>;
    const data =
      kind === 'f32' ? Float32Array.from(source) : kind === 'i32' ? Int32Array.from(source) : Uint8Array.from(source);
    this.#storage.set(dataId, { value: undefined, known: { data, shape: [...shape], dtype: kind }, refCount });
  }

  override readSync(dataId: object): tf.BackendValues {
    const known = this.#storage.get(dataId).known;
    if (known !== undefined) return known.data;
    throw new SslError('READ_WHILE_TRACING', {
      where: 'compile.trace',
      expected: 'a step that never reads values',
      got: `a read of a traced tensor ${callerLine()}`,
      fix: 'return the value as a metric, or compute with tensors only',
      details: { line: callerLine() },
    });
  }

  override read(dataId: object): Promise<tf.BackendValues> {
    return Promise.resolve().then(() => this.readSync(dataId));
  }

  override numDataIds(): number {
    return this.#storage.numDataIds();
  }

  override refCount(dataId: tf.DataId): number {
    return this.#storage.has(dataId) ? this.#storage.get(dataId).refCount : 0;
  }

  override incRef(dataId: tf.DataId): void {
    this.#storage.get(dataId).refCount++;
  }

  override disposeData(dataId: object, force = false): boolean {
    if (!this.#storage.has(dataId)) return true;
    const entry = this.#storage.get(dataId);
    entry.refCount--;
    if (!force && entry.refCount > 0) return false;
    this.#storage.delete(dataId);
    return true;
  }

  override memory(): { unreliable: boolean; reasons: string[] } {
    return { unreliable: true, reasons: ['traced tensors hold no numbers'] };
  }

  override timerAvailable(): boolean {
    return false;
  }

  override floatPrecision(): 16 | 32 {
    return 32;
  }

  override epsilon(): number {
    return 1e-7;
  }

  override dispose(): void {}
}
