import { type DType, type HostArray } from '@selfsup/core';
import { ELEMENT_TYPE, TILED_BYTES } from './api-table.js';
import type { Device } from './client.js';
import { settle } from './events.js';
import type { Pointer } from './layout.js';
import type { Plugin } from './plugin.js';

/** A block of a host array, row-major, that goes to a device. */
export interface HostBlock {
  readonly data: HostArray;
  readonly dtype: DType;
  /** Shape of the block. */
  readonly shape: readonly number[];
  /** Elements before the block's first one. */
  readonly start: number;
  /** Elements from one index to the next, by dimension; dense when left out. */
  readonly strides?: readonly number[];
}

/** `PJRT_HostBufferSemantics`. */
const HOST_ARRAY = { copiedDuringCall: 0, keptUntilDone: 1 } as const;

/** Below this a copy is cheaper than waiting for one. */
const SMALL_BYTES = 1 << 16;

/** Sizes or numbers as native code takes them; never empty, so that there is an address. */
const int64s = (values: readonly number[]): BigInt64Array =>
  values.length === 0 ? new BigInt64Array(1) : BigInt64Array.from(values, BigInt);

/** Buffers of a client: numbers on devices, known by their addresses. */
export class Buffers {
  readonly #plugin: Plugin;
  readonly #client: Pointer;
  readonly #destroy: () => void;
  readonly #doomed: BigUint64Array;

  constructor(plugin: Plugin, client: Pointer) {
    this.#plugin = plugin;
    this.#client = client;
    const args = plugin.argumentsOf('Buffer_Destroy', {});
    // A view of the arguments' memory, which it keeps alive.
    this.#doomed = args.cell('buffer');
    this.#destroy = plugin.bind('Buffer_Destroy', args);
  }

  /**
   * Copies to a device; the host array may be changed again when this is done.
   *
   * @throws SslError `OUT_OF_MEMORY`, `ENGINE_FAILED`
   */
  async upload({ data, dtype, shape, start, strides }: HostBlock, device: Device): Promise<Pointer> {
    const plugin = this.#plugin;
    const bytes = data.BYTES_PER_ELEMENT;
    const small = data.byteLength <= SMALL_BYTES;
    const args = plugin.call('Client_BufferFromHostBuffer', {
      client: this.#client,
      data: data.subarray(start),
      type: ELEMENT_TYPE[dtype],
      dims: int64s(shape),
      num_dims: shape.length,
      byte_strides: strides && int64s(strides.map((stride) => stride * bytes)),
      num_byte_strides: strides?.length ?? 0,
      host_buffer_semantics: small ? HOST_ARRAY.copiedDuringCall : HOST_ARRAY.keptUntilDone,
      device: device.handle,
    });
    plugin.live.buffers++;
    const buffer = args.big('buffer');
    try {
      await settle(plugin, args.big('done_with_host_buffer'), [data]);
    } catch (problem) {
      this.destroy([buffer]);
      throw problem;
    }
    return buffer;
  }

  /**
   * Copies a buffer into host memory of its size, row-major unless told: devices may keep another order.
   *
   * @param minorToMajor - Dimensions, the one whose neighbours are next to each other first
   * @throws SslError `ENGINE_FAILED`
   */
  async download(
    buffer: Pointer,
    into: ArrayBufferView,
    rank: number,
    minorToMajor = Array.from({ length: rank }, (_, i) => rank - 1 - i),
  ): Promise<void> {
    if (into.byteLength === 0) return;
    const plugin = this.#plugin;
    const args = plugin.call('Buffer_ToHostBuffer', {
      src: buffer,
      host_layout: plugin.struct('MemoryLayout', {
        tiled_struct_size: TILED_BYTES,
        minor_to_major: int64s(minorToMajor),
        minor_to_major_size: rank,
        type: 0,
      }),
      dst: into,
      dst_size: into.byteLength,
    });
    await settle(plugin, args.big('event'), [into]);
  }

  /** Whether a buffer's memory is gone: it was donated to an execution. */
  isDeleted(buffer: Pointer): boolean {
    return this.#plugin.call('Buffer_IsDeleted', { buffer }).flag('is_deleted');
  }

  /** Gives buffers back. */
  destroy(buffers: ArrayLike<Pointer>): void {
    for (let i = 0; i < buffers.length; i++) {
      if (buffers[i] === 0n) continue;
      this.#doomed[0] = buffers[i];
      this.#destroy();
      this.#plugin.live.buffers--;
    }
  }
}
