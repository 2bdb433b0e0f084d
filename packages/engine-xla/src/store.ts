import type { StateStore } from '@selfsup/compile';
import {
  checkArrays,
  formatShape,
  hostArray,
  nearestName,
  sameShape,
  SslError,
  type HostArray,
  type HostArrays,
  type Specs,
} from '@selfsup/core';
import type { Client, Device } from './pjrt/client.js';
import { disposedError } from './pjrt/errors.js';
import { settleAll } from './pjrt/events.js';
import { downloadArray, uploadArrays, type Placement } from './placement.js';

/** A tensor of the state: where it is. */
export interface StateSlot {
  readonly name: string;
  readonly placement: Placement;
  /** Its buffer on each device; 0 before it is first used. */
  readonly buffers: BigUint64Array;
  /** Why its numbers are gone, if they are. */
  lost?: string;
}

/** State on the devices. Executions take its buffers (their memory is used for the new state) and put new ones back. */
export class XlaStateStore implements StateStore {
  readonly #client: Client;
  readonly #devices: readonly Device[];
  readonly #slots = new Map<string, StateSlot>();
  #last: Promise<unknown> = Promise.resolve();
  readonly #onDispose: () => void;
  #disposed = false;
  #disposal: Promise<void> | undefined;

  constructor(client: Client, devices: readonly Device[], onDispose: () => void) {
    this.#client = client;
    this.#devices = devices;
    this.#onDispose = onDispose;
  }

  /** Whether this store's buffers are of a client. */
  isOf(client: Client): boolean {
    return this.#client === client;
  }

  /** Does one thing at a time with the state, in the order asked for. */
  exclusively<T>(work: () => Promise<T> | T): Promise<T> {
    const result = this.#last.then(() => {
      this.#checkAlive();
      return work();
    });
    this.#last = result.catch(() => undefined);
    return result;
  }

  /**
   * The places of tensors; made when an executable mentions them first, all of them or none.
   *
   * @throws SslError `SHAPE_MISMATCH`
   */
  slots(wanted: readonly { readonly name: string; readonly placement: Placement }[]): StateSlot[] {
    this.#checkAlive();
    for (const { name, placement } of wanted) this.#checkSame(name, placement);
    return wanted.map(({ name, placement }) => {
      const known = this.#slots.get(name);
      if (known !== undefined) return known;
      const slot = { name, placement, buffers: new BigUint64Array(this.#devices.length) };
      this.#slots.set(name, slot);
      return slot;
    });
  }

  /** Fills tensors that were never loaded with zeros. @throws SslError `ENGINE_FAILED` for one that is lost */
  async ready(slots: readonly StateSlot[]): Promise<void> {
    this.#checkKept(slots);
    const empty = slots.filter(({ buffers }) => buffers[0] === 0n);
    if (empty.length > 0) await this.#fill(empty.map((slot) => [slot, hostArray(slot.placement)]));
  }

  load(arrays: Readonly<HostArrays>): Promise<void> {
    return this.exclusively(async () => {
      const names = Object.keys(arrays).filter((name) => this.#slots.has(name));
      checkArrays(
        'engine-xla.load',
        arrays,
        Object.fromEntries(names.map((name) => [name, this.#found(name).placement])),
      );
      await this.#fill(names.map((name) => [this.#found(name), arrays[name]]));
    });
  }

  read(prefixes: readonly string[]): Promise<HostArrays> {
    return this.exclusively(async () => {
      const found = [...this.#slots.values()].filter(({ name }) => prefixes.some((prefix) => name.startsWith(prefix)));
      if (found.length === 0) throw this.#noneFound(prefixes);
      await this.ready(found);
      const arrays: HostArrays = {};
      await settleAll(
        found.map(async ({ name, placement, buffers }) => {
          arrays[name] = await downloadArray(this.#client, buffers, placement);
        }),
      );
      return Object.fromEntries(found.map(({ name }) => [name, arrays[name]]));
    });
  }

  specs(): Specs {
    return Object.fromEntries(
      [...this.#slots.values()].map(({ name, placement: { shape, dtype } }) => [name, { shape: [...shape], dtype }]),
    );
  }

  /** Takes a tensor's buffers away: a failed execution has used up their memory. */
  lose(slots: readonly StateSlot[], why: string): void {
    for (const slot of slots) {
      this.#client.buffers.destroy(slot.buffers);
      slot.buffers.fill(0n);
      slot.lost = why;
    }
  }

  /** In its turn, so that what is asked for later finds no buffers that are gone. */
  dispose(): Promise<void> {
    this.#disposal ??= this.exclusively(() => {
      this.#disposed = true;
      for (const { buffers } of this.#slots.values()) this.#client.buffers.destroy(buffers);
      this.#slots.clear();
      this.#onDispose();
    });
    return this.#disposal;
  }

  /** Puts arrays in; all of them or, if one does not fit, none. */
  async #fill(entries: readonly (readonly [StateSlot, HostArray])[]): Promise<void> {
    const arrays = entries.map(([{ placement }, data]) => [placement, data] as const);
    const made = await uploadArrays(this.#client, this.#devices, arrays);
    entries.forEach(([slot], i) => {
      this.#client.buffers.destroy(slot.buffers);
      slot.buffers.set(made[i]);
      delete slot.lost;
    });
  }

  #found(name: string): StateSlot {
    return this.#slots.get(name) as StateSlot;
  }

  #noneFound(prefixes: readonly string[]): SslError {
    const known = [...this.#slots.keys()];
    const near = nearestName(prefixes[0] ?? '', known);
    return new SslError('NO_PARAMS_MATCHED', {
      where: 'engine-xla.read',
      expected: `a prefix of one of ${known.length} state names`,
      got: prefixes.length === 0 ? 'no prefix' : prefixes.join(', '),
      fix: near === undefined ? 'use a prefix of the names in specs()' : `did you mean "${near}"`,
      details: { prefixes: [...prefixes] },
    });
  }

  #checkSame(name: string, placement: Placement): void {
    const known = this.#slots.get(name)?.placement;
    if (known === undefined || isSame(known, placement)) return;
    throw new SslError('SHAPE_MISMATCH', {
      where: 'engine-xla.compile',
      expected: `state ${name} of ${describe(known)}, as the shared store holds it`,
      got: describe(placement),
      fix: 'compile functions that share a store with the same state specs',
      details: { name },
    });
  }

  #checkKept(slots: readonly StateSlot[]): void {
    const lost = slots.filter((slot) => slot.lost !== undefined);
    if (lost.length === 0) return;
    throw new SslError('ENGINE_FAILED', {
      where: 'engine-xla.store',
      expected: `the numbers of ${lost[0].name}`,
      got: `a state that was lost (${lost.length} tensors) when a step failed: ${lost[0].lost}`,
      fix: 'load the state again, e.g. from the last checkpoint (--resume)',
      details: { lost: lost.map(({ name }) => name) },
    });
  }

  #checkAlive(): void {
    if (this.#disposed) throw disposedError('store', 'state store');
  }
}

function isSame(a: Placement, b: Placement): boolean {
  return a.dtype === b.dtype && sameShape(a.shape, b.shape) && a.splitAxis === b.splitAxis;
}

function describe({ dtype, shape, splitAxis }: Placement): string {
  const split = splitAxis === undefined ? '' : `, split along dimension ${splitAxis}`;
  return `${dtype} ${formatShape(shape)}${split}`;
}
