import { SslError, type DType, type HostTensor } from '@selfsup/core';

/** Element types of safetensors files that are read. */
export type FileDType =
  'BF16' | 'BOOL' | 'F16' | 'F32' | 'F64' | 'I16' | 'I32' | 'I64' | 'I8' | 'U16' | 'U32' | 'U64' | 'U8';

/** Element types in memory: half-precision numbers are widened to `F32` when read. */
export type StoredDType = Exclude<FileDType, 'BF16' | 'F16'>;

/** Elements of a {@link StoredTensor}; `BOOL` are 0/1 bytes. */
export type StoredArray =
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Float64Array
  | Int16Array
  | Int32Array
  | Int8Array
  | Uint16Array
  | Uint32Array
  | Uint8Array;

/** A tensor as a safetensors file holds it, row-major. */
export interface StoredTensor {
  readonly shape: readonly number[];
  readonly dtype: StoredDType;
  readonly data: StoredArray;
}

/** Bytes per element, in the order in which the reference implementation writes dtypes: so that all data is aligned. */
export const DTYPE_BYTES: Readonly<Record<FileDType, number>> = {
  U64: 8,
  I64: 8,
  F64: 8,
  F32: 4,
  U32: 4,
  I32: 4,
  BF16: 2,
  F16: 2,
  U16: 2,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
};

const ARRAYS = {
  BOOL: Uint8Array,
  F32: Float32Array,
  F64: Float64Array,
  I16: Int16Array,
  I32: Int32Array,
  I64: BigInt64Array,
  I8: Int8Array,
  U16: Uint16Array,
  U32: Uint32Array,
  U64: BigUint64Array,
  U8: Uint8Array,
} as const satisfies Record<StoredDType, unknown>;

const HOST_TO_STORED: Readonly<Record<DType, StoredDType>> = { f32: 'F32', i32: 'I32', bool: 'BOOL', u8: 'U8' };

/** The dtype in a file of a dtype in steps and models. */
export const storedDType = (dtype: DType): StoredDType => HOST_TO_STORED[dtype];

function isHost(tensor: HostTensor | StoredTensor): tensor is HostTensor {
  return Object.hasOwn(HOST_TO_STORED, tensor.dtype);
}

/** A host tensor in the words of a file; no copy. */
export function toStored(tensor: HostTensor | StoredTensor): StoredTensor {
  return isHost(tensor) ? { shape: tensor.shape, dtype: storedDType(tensor.dtype), data: tensor.data } : tensor;
}

/** Whether the array is of the kind its dtype needs. */
export function hasArrayOf(tensor: StoredTensor): boolean {
  return Object.hasOwn(ARRAYS, tensor.dtype) && tensor.data instanceof ARRAYS[tensor.dtype];
}

/** IEEE half precision (given as bits) to float32, exactly. */
function widenHalf(bits: Uint16Array): Float32Array {
  const out = new Float32Array(bits.length);
  const words = new Uint32Array(out.buffer);
  for (let i = 0; i < bits.length; i++) {
    const sign = (bits[i] & 0x8000) << 16;
    const exponent = (bits[i] >> 10) & 0x1f;
    const fraction = bits[i] & 0x3ff;
    if (exponent === 0) {
      // Zero or subnormal: fraction * 2^-24 is a normal float32.
      out[i] = fraction * 2 ** -24;
      words[i] |= sign;
    } else {
      words[i] = sign | ((exponent === 31 ? 0xff : exponent + 112) << 23) | (fraction << 13);
    }
  }
  return out;
}

/** bfloat16 (given as bits) is the upper half of a float32. */
function widenBrain(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i] << 16;
  return new Float32Array(words.buffer);
}

/** Makes a tensor of the bytes of a file. */
export function decodeTensor(dtype: FileDType, shape: readonly number[], bytes: ArrayBuffer): StoredTensor {
  switch (dtype) {
    case 'F16':
      return { shape, dtype: 'F32', data: widenHalf(new Uint16Array(bytes)) };
    case 'BF16':
      return { shape, dtype: 'F32', data: widenBrain(new Uint16Array(bytes)) };
    default:
      return { shape, dtype, data: new ARRAYS[dtype](bytes) };
  }
}

/** The dtype in steps and models that takes the values of a file's dtype. */
export function hostDType(dtype: FileDType): DType {
  switch (dtype) {
    case 'BF16':
    case 'F16':
    case 'F32':
    case 'F64':
      return 'f32';
    case 'BOOL':
      return 'bool';
    case 'U8':
      return 'u8';
    default:
      return 'i32';
  }
}

function narrow(name: string, data: StoredArray): Int32Array {
  const out = new Int32Array(data.length);
  for (let i = 0; i < out.length; i++) {
    const value = Number(data[i]);
    out[i] = value;
    if (out[i] === value) continue;
    throw new SslError('CHECKPOINT_UNREADABLE', {
      where: 'checkpoint.toHostTensor',
      expected: `integers of 32 bits in ${name}`,
      got: `${data[i]}`,
      fix: 'read it with openSafetensors, which keeps 64 bits',
      details: { name },
    });
  }
  return out;
}

/**
 * A stored tensor with one of the dtypes that steps and models use: `F64` is rounded to float32, every integer but `U8`
 * becomes int32.
 *
 * @throws SslError `CHECKPOINT_UNREADABLE` for an integer that does not fit in 32 bits
 */
export function toHostTensor(name: string, tensor: StoredTensor): HostTensor {
  const { shape, data } = tensor;
  const dtype = hostDType(tensor.dtype);
  if (dtype === 'f32')
    return { shape, dtype, data: data instanceof Float32Array ? data : Float32Array.from(data as Float64Array) };
  if (dtype === 'i32') return { shape, dtype, data: data instanceof Int32Array ? data : narrow(name, data) };
  return { shape, dtype, data: data as Uint8Array };
}
