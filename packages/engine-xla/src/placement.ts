import { hostArray, sizeOf, type DType, type HostArray } from '@selfsup/core';
import type { HostBlock } from './pjrt/buffers.js';
import type { Client, Device } from './pjrt/client.js';
import { settleAll } from './pjrt/events.js';

/** How an array lies on devices: all of it on each, or split evenly along one dimension. */
export interface Placement {
  /** Shape of the whole array. */
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly splitAxis?: number;
}

function rowMajorStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
}

/** What the device with an index gets of an array. */
export function blockOf(data: HostArray, placement: Placement, device: number, devices: number): HostBlock {
  const { shape, dtype, splitAxis } = placement;
  if (splitAxis === undefined || devices === 1) return { data, dtype, shape, start: 0 };
  const strides = rowMajorStrides(shape);
  const part = shape[splitAxis] / devices;
  const own = shape.map((size, axis) => (axis === splitAxis ? part : size));
  const start = device * part * strides[splitAxis];
  // The first dimension's blocks are dense.
  return { data, dtype, shape: own, start, ...(splitAxis === 0 ? {} : { strides }) };
}

/**
 * Copies arrays to every device and gives their buffers, `[arrays][devices]`.
 *
 * @throws SslError of the first copy that failed; no buffers are left then
 */
export async function uploadArrays(
  client: Client,
  devices: readonly Device[],
  arrays: readonly (readonly [Placement, HostArray])[],
): Promise<bigint[][]> {
  const { buffers } = client;
  const copies = arrays.flatMap(([placement, data]) =>
    devices.map((device, i) => buffers.upload(blockOf(data, placement, i, devices.length), device)),
  );
  const ends = await Promise.allSettled(copies);
  const made = ends.flatMap((end) => (end.status === 'fulfilled' ? [end.value] : []));
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed !== undefined) {
    buffers.destroy(made);
    throw failed.reason as Error;
  }
  return arrays.map((_, i) => made.slice(i * devices.length, (i + 1) * devices.length));
}

/** Copies an array from its buffers, one per device, to the host. */
export async function downloadArray(client: Client, buffers: BigUint64Array, placement: Placement): Promise<HostArray> {
  const { shape, dtype, splitAxis } = placement;
  const whole = hostArray(placement);
  if (splitAxis === undefined || buffers.length === 1) {
    await client.buffers.download(buffers[0], whole, shape.length);
    return whole;
  }
  // Before the split dimension: how many times a device's rows follow each other.
  const outer = sizeOf(shape.slice(0, splitAxis));
  const run = whole.length / outer / buffers.length;
  await settleAll(
    Array.from(buffers, async (buffer, device) => {
      const part = hostArray({ shape: [outer, run], dtype });
      await client.buffers.download(buffer, part, shape.length);
      for (let i = 0; i < outer; i++) {
        whole.set(part.subarray(i * run, (i + 1) * run), (i * buffers.length + device) * run);
      }
    }),
  );
  return whole;
}
