import { readFileSync } from 'node:fs';

/** Elements of a fixture tensor, row-major. F16 is widened to float32, I64 narrowed to int32, BOOL are 0/1 bytes. */
export type FixtureData = Float32Array | Float64Array | Int32Array | Int16Array | Uint8Array;

/** One tensor of a fixture. */
export interface FixtureTensor {
  readonly shape: readonly number[];
  /** As the file names it: F64, F32, F16, I64, I32, I16, U8, BOOL. */
  readonly dtype: string;
  readonly data: FixtureData;
}

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function narrow(values: BigInt64Array): Int32Array {
  return Int32Array.from(values, (value) => {
    const small = Number(value);
    if (small !== (small | 0)) throw new RangeError(`fixture integer ${value} does not fit in 32 bits`);
    return small;
  });
}

function decode(dtype: string, bytes: ArrayBuffer): FixtureData {
  switch (dtype) {
    case 'F64':
      return new Float64Array(bytes);
    case 'F32':
      return new Float32Array(bytes);
    case 'F16':
      return Float32Array.from(new Uint16Array(bytes), halfToFloat);
    case 'I64':
      return narrow(new BigInt64Array(bytes));
    case 'I32':
      return new Int32Array(bytes);
    case 'I16':
      return new Int16Array(bytes);
    case 'U8':
    case 'BOOL':
      return new Uint8Array(bytes);
    default:
      throw new TypeError(`fixture dtype ${dtype} is not known`);
  }
}

/**
 * Reads a safetensors file whole. The tests have a reader of their own so that a mistake in `@selfsup/checkpoint`
 * cannot hide itself.
 */
export function readSafetensors(path: string): Record<string, FixtureTensor> {
  const file = readFileSync(path);
  const headerLength = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, 8 + headerLength)) as Record<string, Entry>;
  const tensors: Record<string, FixtureTensor> = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const [start, end] = entry.data_offsets;
    // Copied, since the elements need not be aligned in the file.
    const bytes = Uint8Array.from(file.subarray(8 + headerLength + start, 8 + headerLength + end)).buffer;
    tensors[name] = { shape: entry.shape, dtype: entry.dtype, data: decode(entry.dtype, bytes) };
  }
  return tensors;
}
