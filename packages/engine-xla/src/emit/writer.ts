import { sameShape, sizeOf, type DType } from '@selfsup/core';

/** Shape and element type of a value. */
export interface TensorType {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/** How the factors of products are computed with that may be rounded. */
export type FactorPrecision = 'f32' | 'bf16';

/** Type of a factor of a product, which may be one that no other value has. */
interface FactorType {
  readonly shape: readonly number[];
  readonly dtype: DType | 'bf16';
}

/** A factor of a product. */
interface Factor extends FactorType {
  readonly name: string;
}

/** A value of the program. */
export interface Tensor extends TensorType {
  /** As it is written, with the percent sign. */
  readonly name: string;
}

export type ReductionKind = 'sum' | 'max' | 'min' | 'prod' | 'any' | 'all';

/** What a reduction starts from and combines with. */
export interface Reducer {
  readonly start: (dtype: DType) => number;
  readonly op: string;
}

const ELEMENT: Readonly<Record<FactorType['dtype'], string>> = {
  f32: 'f32',
  bf16: 'bf16',
  i32: 'i32',
  bool: 'i1',
  u8: 'ui8',
};

const LOWEST_I32 = -(2 ** 31);
const HIGHEST_I32 = 2 ** 31 - 1;

export const REDUCERS: Readonly<Record<ReductionKind, Reducer>> = {
  sum: { start: () => 0, op: 'add' },
  prod: { start: () => 1, op: 'multiply' },
  max: { start: (dtype) => (dtype === 'i32' ? LOWEST_I32 : dtype === 'bool' ? 0 : -Infinity), op: 'maximum' },
  min: { start: (dtype) => (dtype === 'i32' ? HIGHEST_I32 : Infinity), op: 'minimum' },
  any: { start: () => 0, op: 'or' },
  all: { start: () => 1, op: 'and' },
};

/** Dimensions in order, 0 to n - 1. */
export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** `tensor<2x3xf32>` */
export function typeText({ shape, dtype }: FactorType): string {
  return `tensor<${shape.map((d) => `${d}x`).join('')}${ELEMENT[dtype]}>`;
}

const typesText = (types: readonly FactorType[]): string => types.map(typeText).join(', ');
const namesText = (tensors: readonly Tensor[]): string => tensors.map((t) => t.name).join(', ');

/** A string of MLIR: what would end it or is no printable ASCII becomes hexadecimal. */
export function quoted(text: string): string {
  const bytes = [...new TextEncoder().encode(text)];
  const escape = (byte: number): string =>
    byte < 32 || byte > 126 || byte === 34 || byte === 92
      ? `\\${byte.toString(16).toUpperCase().padStart(2, '0')}`
      : String.fromCharCode(byte);
  return `"${bytes.map(escape).join('')}"`;
}

/** All bits of a float32: decimal notation would round, and has no infinities. */
function floatText(value: number): string {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  return `0x${view.getUint32(0).toString(16).toUpperCase().padStart(8, '0')}`;
}

function numberText(dtype: DType, value: number): string {
  if (dtype === 'f32') return floatText(value);
  return dtype === 'bool' ? String(value !== 0) : String(Math.trunc(value));
}

/** Writes the body of a function line by line; every method that returns a {@link Tensor} writes one or more lines. */
export class FunctionWriter {
  readonly lines: string[] = [];
  /** How products are computed that need not be exact. */
  readonly precision: FactorPrecision;
  /** Debug name of the lines to come. */
  location = '';
  readonly #constants = new Map<string, Tensor>();
  #count = 0;

  constructor(precision: FactorPrecision) {
    this.precision = precision;
  }

  /** `text` is everything of a line with one value between the equals sign and the types. */
  line(text: string, operands: readonly FactorType[], type: TensorType): Tensor {
    const name = this.#add('', `${text} : (${typesText(operands)}) -> ${typeText(type)}`);
    return { name, shape: type.shape, dtype: type.dtype };
  }

  /** The same with several values. */
  lineOfMany(text: string, operands: readonly TensorType[], types: readonly TensorType[]): Tensor[] {
    const name = this.#add(`:${types.length}`, `${text} : (${typesText(operands)}) -> (${typesText(types)})`);
    return types.map(({ shape, dtype }, i) => ({ name: `${name}#${i}`, shape, dtype }));
  }

  /** A factor rounded to bfloat16. */
  rounded(x: Tensor): Factor {
    const factor = { shape: x.shape, dtype: 'bf16' } as const;
    return { name: this.#add('', `stablehlo.convert ${x.name} : (${typeText(x)}) -> ${typeText(factor)}`), ...factor };
  }

  /** An operation on its operands alone. */
  call(op: string, operands: readonly Tensor[], type: TensorType): Tensor {
    return this.line(`stablehlo.${op} ${namesText(operands)}`, operands, type);
  }

  /** One value in every element of a shape. */
  scalar(dtype: DType, value: number, shape: readonly number[] = []): Tensor {
    return this.#constant({ shape, dtype }, numberText(dtype, value));
  }

  /** Elements in row-major order, as they are in memory (little-endian). */
  constant(dtype: DType, shape: readonly number[], data: Float32Array | Int32Array | Uint8Array): Tensor {
    if (data.length === 1) return this.scalar(dtype, data[0], shape);
    if (data.length === 0) return this.#constant({ shape, dtype }, '');
    // Bits of bools are packed in text; bytes say the same more simply.
    if (dtype === 'bool') return this.convert(this.constant('u8', shape, data), 'bool');
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    return this.#constant({ shape, dtype }, `"0x${bytes.toString('hex').toUpperCase()}"`);
  }

  /** An element-wise operation; operands broadcast to the shape as numpy does. */
  elementwise(op: string, operands: readonly Tensor[], shape: readonly number[], dtype = operands[0].dtype): Tensor {
    const full = operands.map((x) => this.broadcast(x, shape));
    return this.call(op, full, { shape, dtype });
  }

  unary(op: string, x: Tensor): Tensor {
    return this.call(op, [x], x);
  }

  /** An element-wise operation on two operands, of which the larger has the shape of the result. */
  binary(op: string, a: Tensor, b: Tensor): Tensor {
    return this.elementwise(op, [a, b], sizeOf(a.shape) >= sizeOf(b.shape) ? a.shape : b.shape);
  }

  add(a: Tensor, b: Tensor | number): Tensor {
    return this.binary('add', a, this.#operand(a, b));
  }

  subtract(a: Tensor, b: Tensor | number): Tensor {
    return this.binary('subtract', a, this.#operand(a, b));
  }

  multiply(a: Tensor, b: Tensor | number): Tensor {
    return this.binary('multiply', a, this.#operand(a, b));
  }

  divide(a: Tensor, b: Tensor | number): Tensor {
    return this.binary('divide', a, this.#operand(a, b));
  }

  compare(direction: string, a: Tensor, b: Tensor | number, shape: readonly number[] = a.shape): Tensor {
    const full = [a, this.#operand(a, b)].map((x) => this.broadcast(x, shape));
    const kind = a.dtype === 'f32' ? 'FLOAT' : a.dtype === 'i32' ? 'SIGNED' : 'UNSIGNED';
    return this.line(`stablehlo.compare ${direction}, ${namesText(full)}, ${kind}`, full, { shape, dtype: 'bool' });
  }

  select(predicate: Tensor, a: Tensor, b: Tensor, shape: readonly number[] = predicate.shape): Tensor {
    const full = [predicate, a, b].map((x) => this.broadcast(x, shape));
    return this.call('select', full, { shape, dtype: a.dtype });
  }

  convert(x: Tensor, dtype: DType): Tensor {
    return x.dtype === dtype ? x : this.call('convert', [x], { shape: x.shape, dtype });
  }

  reshape(x: Tensor, shape: readonly number[]): Tensor {
    return sameShape(x.shape, shape) ? x : this.call('reshape', [x], { shape, dtype: x.dtype });
  }

  /** Broadcasts as numpy does: right-aligned, size 1 stretches. */
  broadcast(x: Tensor, shape: readonly number[]): Tensor {
    const first = shape.length - x.shape.length;
    return this.broadcastTo(
      x,
      shape,
      x.shape.map((_, i) => first + i),
    );
  }

  /** Broadcasts with the dimensions of x placed at `dimensions` of the shape. */
  broadcastTo(x: Tensor, shape: readonly number[], dimensions: readonly number[]): Tensor {
    if (sameShape(x.shape, shape)) return x;
    const text = `stablehlo.broadcast_in_dim ${x.name}, dims = [${dimensions.join(', ')}]`;
    return this.line(text, [x], { shape, dtype: x.dtype });
  }

  transpose(x: Tensor, permutation: readonly number[]): Tensor {
    if (permutation.every((p, i) => p === i)) return x;
    const shape = permutation.map((p) => x.shape[p]);
    const text = `stablehlo.transpose ${x.name}, dims = [${permutation.join(', ')}]`;
    return this.line(text, [x], { shape, dtype: x.dtype });
  }

  slice(
    x: Tensor,
    start: readonly number[],
    limit: readonly number[],
    strides: readonly number[] = start.map(() => 1),
  ): Tensor {
    const shape = start.map((s, i) => Math.ceil((limit[i] - s) / strides[i]));
    if (sameShape(shape, x.shape)) return x;
    const ranges = start.map((s, i) => `${s}:${limit[i]}${strides[i] === 1 ? '' : `:${strides[i]}`}`);
    return this.line(`stablehlo.slice ${x.name} [${ranges.join(', ')}]`, [x], { shape, dtype: x.dtype });
  }

  /** Negative paddings cut off; `interior` goes between neighbours. */
  pad(
    x: Tensor,
    value: number,
    low: readonly number[],
    high: readonly number[],
    interior: readonly number[] = low.map(() => 0),
  ): Tensor {
    const zero = this.scalar(x.dtype, value);
    const shape = x.shape.map((d, i) => d + low[i] + high[i] + Math.max(d - 1, 0) * interior[i]);
    const text = `stablehlo.pad ${x.name}, ${zero.name}, low = [${low.join(', ')}], high = [${high.join(', ')}], interior = [${interior.join(', ')}]`;
    return this.line(text, [x, zero], { shape, dtype: x.dtype });
  }

  /** 0, 1, 2, ... along one dimension of a shape, the same along the others. */
  iota(dtype: DType, shape: readonly number[], dimension: number): Tensor {
    return { name: this.#add('', `stablehlo.iota dim = ${dimension} : ${typeText({ shape, dtype })}`), shape, dtype };
  }

  reduce(kind: ReductionKind, x: Tensor, dimensions: readonly number[], keepDims = false): Tensor {
    const { start, op } = REDUCERS[kind];
    const init = this.scalar(x.dtype, start(x.dtype));
    const shape = x.shape.filter((_, i) => !dimensions.includes(i));
    const text = `stablehlo.reduce(${x.name} init: ${init.name}) applies stablehlo.${op} across dimensions = [${dimensions.join(', ')}]`;
    const reduced = dimensions.length === 0 ? x : this.line(text, [x, init], { shape, dtype: x.dtype });
    if (!keepDims) return reduced;
    const kept = x.shape.map((d, i) => (dimensions.includes(i) ? 1 : d));
    return this.reshape(reduced, kept);
  }

  /**
   * The same values again, so that what is computed from them is not taken for the same as an earlier computation:
   * XLA would keep the earlier one in memory.
   */
  barrier(tensors: readonly Tensor[]): Tensor[] {
    const text = `stablehlo.optimization_barrier ${namesText(tensors)} : ${typesText(tensors)}`;
    const name = this.#add(`:${tensors.length}`, text);
    return tensors.map(({ shape, dtype }, i) => ({ name: `${name}#${i}`, shape, dtype }));
  }

  /** The same value, laid over the devices as the text of a Shardy sharding says. */
  sharded({ name, shape, dtype }: Tensor, layout: string): Tensor {
    const text = `sdy.sharding_constraint ${name} ${layout} : ${typeText({ shape, dtype })}`;
    return { name: this.#add('', text), shape, dtype };
  }

  #operand(a: Tensor, b: Tensor | number): Tensor {
    return typeof b === 'number' ? this.scalar(a.dtype, b) : b;
  }

  #constant(type: TensorType, elements: string): Tensor {
    const text = `stablehlo.constant dense<${elements}> : ${typeText(type)}`;
    const known = this.#constants.get(text);
    if (known !== undefined) return known;
    const tensor = { name: this.#add('', text), shape: type.shape, dtype: type.dtype };
    this.#constants.set(text, tensor);
    return tensor;
  }

  #add(results: string, text: string): string {
    const name = `%${this.#count++}`;
    this.lines.push(`${name}${results} = ${text} loc(${quoted(this.location)})`);
    return name;
  }
}
