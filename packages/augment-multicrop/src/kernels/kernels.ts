import { SslError } from '@selfsup/core';
import { KERNELS_BASE64 } from './binary.js';

/** An address in the kernels' memory. */
type Address = number;

/** What `assembly/` exports; pictures are interleaved RGB bytes, row by row. */
export interface KernelFunctions {
  copyRows(from: Address, fromStride: number, to: Address, toStride: number, rowBytes: number, rows: number): void;
  flip(data: Address, width: number, height: number): void;
  resizeAcross(
    source: Address,
    sourceStride: number,
    rows: number,
    out: Address,
    outStride: number,
    outWidth: number,
    table: Address,
    tableStride: number,
  ): void;
  resizeDown(
    source: Address,
    sourceStride: number,
    rowBytes: number,
    out: Address,
    outStride: number,
    outHeight: number,
    table: Address,
    tableStride: number,
  ): void;
  blendWithConstant(data: Address, bytes: number, base: number, factor: number): void;
  blendWithLuma(data: Address, pixels: number, factor: number): void;
  grayscale(data: Address, pixels: number): void;
  lumaSum(data: Address, pixels: number): number;
  solarize(data: Address, bytes: number, threshold: number): void;
  hueTables(tables: Address): void;
  shiftHue(data: Address, pixels: number, shift: number, tables: Address): void;
  frameSides(origin: Address, stride: number, width: number, height: number, margin: number, mirror: boolean): void;
  frameEnds(origin: Address, stride: number, height: number, margin: number, mirror: boolean): void;
  boxPass(
    source: Address,
    out: Address,
    stride: number,
    rowBytes: number,
    height: number,
    step: number,
    radius: number,
    whole: number,
    part: number,
  ): void;
  symmetricFilter(
    source: Address,
    out: Address,
    outStride: number,
    stride: number,
    rowBytes: number,
    height: number,
    line: Address,
    weights: Address,
    radius: number,
  ): void;
}

interface Memory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

// Neither the "es" nor the "node" type libraries of this version declare it.
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { readonly exports: KernelFunctions & { readonly memory: Memory } };
};

const PAGE = 65536;

/** The compiled kernels and their memory. */
export class Kernels {
  readonly run: KernelFunctions;
  readonly #memory: Memory;
  #bytes: Uint8Array;

  /** @throws SslError `UNSUPPORTED` where WebAssembly with SIMD is missing */
  constructor() {
    const binary = Uint8Array.from(atob(KERNELS_BASE64), (character) => character.charCodeAt(0));
    try {
      const { exports } = new WebAssembly.Instance(new WebAssembly.Module(binary));
      this.run = exports;
      this.#memory = exports.memory;
    } catch (cause) {
      throw new SslError('UNSUPPORTED', {
        where: 'augment-multicrop.kernels',
        expected: 'WebAssembly with SIMD',
        got: cause instanceof Error ? cause.message : String(cause),
        fix: 'use Node 20 or later, or a browser from 2023 or later whose content security policy allows WebAssembly',
        cause,
      });
    }
    this.#bytes = new Uint8Array(this.#memory.buffer);
  }

  /** The whole memory; stale after {@link reserve}. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Makes sure that addresses below `end` exist. Memory only grows. */
  reserve(end: number): void {
    if (end <= this.#bytes.length) return;
    try {
      this.#memory.grow(Math.ceil((end - this.#bytes.length) / PAGE));
    } catch (cause) {
      throw new SslError('OUT_OF_MEMORY', {
        where: 'augment-multicrop.kernels',
        expected: `${end} bytes of WebAssembly memory`,
        got: `${this.#bytes.length} bytes and no more`,
        fix: 'make the picture smaller before augmenting it',
        cause,
      });
    }
    this.#bytes = new Uint8Array(this.#memory.buffer);
  }
}
