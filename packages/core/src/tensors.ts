import { SslError } from './errors.js';

/** Element types at the boundary of a step. `u8` travels as bytes and is traced as int32; `bool` travels as 0/1 bytes. */
export type DType = 'f32' | 'i32' | 'bool' | 'u8';

/** Shape and element type of a named array. */
export interface TensorSpec {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/** Named specs, e.g. of a step's state or batch. */
export type Specs = Readonly<Record<string, TensorSpec>>;

/** f32 -> Float32Array, i32 -> Int32Array, bool and u8 -> Uint8Array. */
export type HostArray = Float32Array | Int32Array | Uint8Array;

/** Flat named arrays in host memory, row-major. */
export type HostArrays = Record<string, HostArray>;

/** An array in host memory with its shape. */
export interface HostTensor extends TensorSpec {
  readonly data: HostArray;
}

/** Number of elements of a shape; 1 for a scalar. */
export function sizeOf(shape: readonly number[]): number {
  let n = 1;
  for (const d of shape) n *= d;
  return n;
}

/** Bytes of one element in host memory. */
export function bytesOf(dtype: DType): number {
  return dtype === 'f32' || dtype === 'i32' ? 4 : 1;
}

/** A zeroed host array for a spec. */
export function hostArray(spec: TensorSpec): HostArray {
  const n = sizeOf(spec.shape);
  switch (spec.dtype) {
    case 'f32':
      return new Float32Array(n);
    case 'i32':
      return new Int32Array(n);
    default:
      return new Uint8Array(n);
  }
}

/** `[2, 3]` as text for messages. */
export function formatShape(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}

/** Whether two shapes are the same. */
export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((d, i) => d === b[i]);
}

/** Anything with a shape: a tfjs tensor, a spec, a host tensor. */
export interface Shaped {
  readonly shape: readonly number[];
}

/**
 * Checks a shape against a pattern: a number must be equal, a letter is free but the same letter must stand for the
 * same size everywhere; `...` may stand first and takes any leading dimensions.
 *
 * @returns the sizes found for the letters
 * @throws SslError `SHAPE_MISMATCH`
 *
 * @example
 * const { B, D } = checkShape('ops.f', 'x', x, ['B', 'D']);
 */
export function checkShape(
  where: string,
  name: string,
  value: Shaped,
  pattern: readonly (number | string)[],
  known: Record<string, number> = {},
): Record<string, number> {
  const open = pattern[0] === '...';
  const wanted = open ? pattern.slice(1) : pattern;
  const shape = open ? value.shape.slice(Math.max(0, value.shape.length - wanted.length)) : value.shape;
  let ok = shape.length === wanted.length;
  for (let i = 0; ok && i < wanted.length; i++) {
    const want = wanted[i];
    const size = typeof want === 'number' ? want : (known[want] ??= shape[i]);
    ok = size === shape[i];
  }
  if (!ok) {
    const named = pattern.map((p) => (typeof p === 'string' && p in known ? `${p}=${known[p]}` : `${p}`));
    throw new SslError('SHAPE_MISMATCH', {
      where,
      expected: `${name} of shape [${named.join(', ')}]`,
      got: formatShape(value.shape),
      fix: `pass ${name} with that shape`,
      details: { name, shape: [...value.shape], pattern: [...pattern] },
    });
  }
  return known;
}

/**
 * Checks named host arrays against specs: every name there, none else, right length and kind.
 *
 * @throws SslError `SHAPE_MISMATCH` listing missing, unexpected and mis-shaped names in one message
 */
export function checkArrays(where: string, arrays: Readonly<HostArrays>, specs: Specs): void {
  const missing = Object.keys(specs).filter((k) => !Object.hasOwn(arrays, k));
  const unexpected = Object.keys(arrays).filter((k) => !Object.hasOwn(specs, k));
  const wrong: string[] = [];
  for (const [name, spec] of Object.entries(specs)) {
    const data = arrays[name];
    if (data === undefined) continue;
    const kind = spec.dtype === 'f32' ? Float32Array : spec.dtype === 'i32' ? Int32Array : Uint8Array;
    if (!(data instanceof kind) || data.length !== sizeOf(spec.shape)) {
      wrong.push(`${name}: ${data.constructor.name}(${data.length}) for ${spec.dtype} ${formatShape(spec.shape)}`);
    }
  }
  if (missing.length + unexpected.length + wrong.length === 0) return;
  const list = (label: string, names: string[]): string =>
    names.length === 0
      ? ''
      : `${label} ${names.slice(0, 6).join('; ')}${names.length > 6 ? ` and ${names.length - 6} more` : ''}`;
  throw new SslError('SHAPE_MISMATCH', {
    where,
    expected: `${Object.keys(specs).length} named arrays of the given shapes`,
    got: [list('missing', missing), list('unexpected', unexpected), list('mis-shaped', wrong)]
      .filter((s) => s !== '')
      .join(', '),
    fix: 'pass exactly the named arrays of the specs',
    details: { missing, unexpected, wrong },
  });
}
