import { sizeOf, type HostArray } from '@selfsup/core';
import { elementBytes, type Element } from '../element.js';

const ALIGNMENT = 64;

/** Memory of a tensor, seen as bytes and as numbers; outside the JavaScript heap, and it never moves. */
export interface Block {
  readonly dtype: Element;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
  readonly data: HostArray;
}

/** Address of memory, where it can be told. */
export type AddressOf = (memory: Uint8Array) => bigint;

/** A zeroed block that starts at a cache line, if addresses are known. */
function allocate(bytes: number, addressOf: AddressOf | undefined): Uint8Array {
  if (addressOf === undefined) return new Uint8Array(bytes);
  const block = new ArrayBuffer(bytes + ALIGNMENT);
  const start = Number(addressOf(new Uint8Array(block)) % BigInt(ALIGNMENT));
  return new Uint8Array(block, start === 0 ? 0 : ALIGNMENT - start, bytes);
}

const VIEWS = { f32: Float32Array, i32: Int32Array, u8: Uint8Array, bool: Uint8Array } as const;

/** Zeroed memory for a tensor. */
export function allocateTensor(
  dtype: keyof typeof VIEWS,
  shape: readonly number[],
  addressOf: AddressOf | undefined,
): Block {
  const size = sizeOf(shape);
  const bytes = allocate(size * elementBytes(dtype), addressOf);
  return { dtype, shape, bytes, data: new VIEWS[dtype](bytes.buffer as ArrayBuffer, bytes.byteOffset, size) };
}

/** Element types that cross the border of a file. */
export type HostElement = keyof typeof VIEWS;

export function isHostElement(element: Element): element is HostElement {
  return element in VIEWS;
}
