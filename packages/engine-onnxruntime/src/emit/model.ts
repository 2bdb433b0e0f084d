import onnxProto from 'onnx-proto';
import { ELEMENT, type Element } from '../element.js';

const { onnx } = onnxProto;

/** Operator sets of the emitted files. */
const OPSETS = [
  { domain: '', version: 18 },
  { domain: 'com.microsoft', version: 1 },
];
const IR_VERSION = 8;

const ATTRIBUTE = { float: 1, int: 2, string: 3, tensor: 4, floats: 6, ints: 7 } as const;

/** Bytes up to which equal constants are looked for. */
const SMALL_CONSTANT = 1 << 16;

/** A float attribute; plain numbers are integers. */
export class Float {
  constructor(readonly value: number) {}
}

/** Attribute values of an ONNX node. */
export type OnnxAttribute = number | Float | string | readonly number[];
export type OnnxAttributes = Readonly<Record<string, OnnxAttribute>>;

/** A tensor stored in the file. */
export interface OnnxTensor {
  readonly dtype: Element;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** A node of the file. */
export interface OnnxNode {
  readonly op: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attrs: OnnxAttributes;
}

/** Name, element type and shape of an input or output. */
export interface OnnxPort {
  readonly name: string;
  readonly dtype: Element;
  readonly shape: readonly number[];
}

function attribute(name: string, value: OnnxAttribute): object {
  if (value instanceof Float) return { name, type: ATTRIBUTE.float, f: value.value };
  if (typeof value === 'string') return { name, type: ATTRIBUTE.string, s: Buffer.from(value) };
  if (typeof value === 'number') return { name, type: ATTRIBUTE.int, i: value };
  return { name, type: ATTRIBUTE.ints, ints: [...value] };
}

function port({ name, dtype, shape }: OnnxPort): object {
  return {
    name,
    type: { tensorType: { elemType: ELEMENT[dtype], shape: { dim: shape.map((dimValue) => ({ dimValue })) } } },
  };
}

/** Collects nodes and constants of one ONNX file and encodes it. */
export class OnnxModel {
  nodes: OnnxNode[] = [];
  readonly #computed = new Set<string>();
  readonly #tensors = new Map<string, OnnxTensor>();
  readonly #known = new Map<string, string>();
  #next = 0;

  constructor(readonly name: string) {}

  /** A name not used before. */
  fresh(hint: string): string {
    return `${hint}.${this.#next++}`;
  }

  /** Adds a node with one output and returns the output's name. */
  op(op: string, inputs: readonly string[], attrs: OnnxAttributes = {}, output?: string): string {
    return this.ops(op, inputs, attrs, [output])[0];
  }

  /** Adds a node; an `undefined` output gets a fresh name, an empty one is left out. */
  ops(
    op: string,
    inputs: readonly string[],
    attrs: OnnxAttributes = {},
    outputs: readonly (string | undefined)[] = [undefined],
  ): string[] {
    const names = outputs.map((given) => given ?? this.fresh(op));
    for (const name of names) this.#computed.add(name);
    const microsoft = op.startsWith('ms.');
    this.nodes.push({
      op: microsoft ? op.slice(3) : op,
      domain: microsoft ? 'com.microsoft' : '',
      inputs,
      outputs: names,
      attrs,
    });
    return names;
  }

  /** Whether a name is the output of a node (and not a constant or an input). */
  isComputed(name: string): boolean {
    return this.#computed.has(name);
  }

  /** A constant; equal small ones are stored once. */
  constant(dtype: Element, shape: readonly number[], data: Uint8Array): string {
    const key =
      data.byteLength <= SMALL_CONSTANT
        ? `${dtype}:${shape.join()}:${Buffer.from(data).toString('latin1')}`
        : undefined;
    const known = key === undefined ? undefined : this.#known.get(key);
    if (known !== undefined) return known;
    const name = this.fresh('c');
    this.#tensors.set(name, { dtype, shape, data });
    if (key !== undefined) this.#known.set(key, name);
    return name;
  }

  /** A float32 constant: a scalar, or of a shape. */
  f32(values: number | readonly number[] | Float32Array, shape?: readonly number[]): string {
    const data = typeof values === 'number' ? Float32Array.of(values) : Float32Array.from(values);
    const dims = shape ?? (typeof values === 'number' ? [] : [data.length]);
    return this.constant('f32', dims, new Uint8Array(data.buffer));
  }

  f64(values: number | readonly number[], shape?: readonly number[]): string {
    const data = typeof values === 'number' ? Float64Array.of(values) : Float64Array.from(values);
    const dims = shape ?? (typeof values === 'number' ? [] : [data.length]);
    return this.constant('f64', dims, new Uint8Array(data.buffer));
  }

  i32(value: number): string {
    return this.constant('i32', [], new Uint8Array(Int32Array.of(value).buffer));
  }

  /** A list of int64, as shapes and axes are given. */
  i64(values: readonly number[]): string {
    return this.constant('i64', [values.length], new Uint8Array(BigInt64Array.from(values, BigInt).buffer));
  }

  /** An int64 scalar. */
  i64Scalar(value: number): string {
    return this.constant('i64', [], new Uint8Array(BigInt64Array.of(BigInt(value)).buffer));
  }

  /** The file's bytes. */
  encode(inputs: readonly OnnxPort[], outputs: readonly OnnxPort[]): Uint8Array {
    const used = new Set([...this.nodes.flatMap((node) => node.inputs), ...outputs.map((o) => o.name)]);
    const message = onnx.ModelProto.fromObject({
      irVersion: IR_VERSION,
      opsetImport: OPSETS,
      graph: {
        name: this.name,
        node: this.nodes.map(({ op, domain, inputs: input, outputs: output, attrs }, index) => ({
          name: `${index}.${op}`,
          opType: op,
          domain,
          input,
          output,
          attribute: Object.entries(attrs).map(([name, value]) => attribute(name, value)),
        })),
        initializer: [...this.#tensors]
          .filter(([name]) => used.has(name))
          .map(([name, { dtype, shape, data }]) => ({
            name,
            dataType: ELEMENT[dtype],
            dims: [...shape],
            rawData: data,
          })),
        input: inputs.map(port),
        output: outputs.map(port),
      },
    });
    return onnx.ModelProto.encode(message).finish();
  }
}
