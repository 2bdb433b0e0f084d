import type { Executable } from '@selfsup/compile';
import { checkArrays, type HostArray, type HostArrays, type Specs } from '@selfsup/core';
import type { ProgramPort, StableHloProgram } from './emit/program.js';
import { explainMemory } from './memory.js';
import type { Client, Device } from './pjrt/client.js';
import { disposedError } from './pjrt/errors.js';
import { settleAll } from './pjrt/events.js';
import type { LoadedExecutable } from './pjrt/loaded-executable.js';
import { downloadArray, uploadArrays, type Placement } from './placement.js';
import type { StateSlot, XlaStateStore } from './store.js';

/** What an executable is made of. */
export interface ExecutableParts {
  readonly client: Client;
  readonly devices: readonly Device[];
  readonly store: XlaStateStore;
  readonly program: StableHloProgram;
  readonly loaded: LoadedExecutable;
  readonly onDispose: () => void;
}

/** A port and its place among the inputs or outputs. */
interface Placed {
  readonly name: string;
  readonly index: number;
  readonly placement: Placement;
}

/** The state of an input or output. */
interface PlacedState {
  readonly index: number;
  readonly slot: StateSlot;
}

const placementOf = ({ shape, dtype, splitAxis }: ProgramPort): Placement => ({
  shape,
  dtype,
  ...(splitAxis === undefined ? {} : { splitAxis }),
});

function portsOf(ports: readonly ProgramPort[], isState: boolean): Placed[] {
  return ports
    .map((port, index) => ({ port, index }))
    .filter(({ port }) => (port.role === 'state') === isState)
    .map(({ port, index }) => ({ name: port.name, index, placement: placementOf(port) }));
}

/** Buffers of a batch array on their way to the devices, one per device. */
type Coming = Promise<readonly bigint[]>;

interface Prepared {
  readonly name: string;
  readonly array: HostArray;
  readonly coming: Coming;
}

/**
 * A program on its devices. The state never leaves them: the memory of the old state is given to the run (donated), the
 * new state takes its place. Whether a step counts is decided inside the program.
 */
export class XlaExecutable implements Executable {
  readonly store: XlaStateStore;
  readonly #parts: ExecutableParts;
  readonly #batch: readonly Placed[];
  readonly #metrics: readonly Placed[];
  readonly #stateIn: readonly PlacedState[];
  readonly #stateOut: readonly PlacedState[];
  readonly #specs: Specs;
  /** Arrays of coming batches, see {@link XlaExecutable.prepare}. */
  readonly #prepared: Prepared[] = [];
  readonly #running = new Set<Promise<unknown>>();
  #disposal: Promise<void> | undefined;

  constructor(parts: ExecutableParts) {
    const { store, program } = parts;
    const [stateIn, stateOut] = [program.inputs, program.outputs].map((ports) => portsOf(ports, true));
    const slots = store.slots([...stateIn, ...stateOut]);
    this.store = store;
    this.#parts = parts;
    this.#batch = portsOf(program.inputs, false);
    this.#metrics = portsOf(program.outputs, false);
    this.#stateIn = stateIn.map(({ index }, i) => ({ index, slot: slots[i] }));
    this.#stateOut = stateOut.map(({ index }, i) => ({ index, slot: slots[stateIn.length + i] }));
    this.#specs = Object.fromEntries(
      this.#batch.map(({ name, placement: { shape, dtype } }) => [name, { shape, dtype }]),
    );
  }

  prepare(arrays: Readonly<HostArrays>): void {
    const given = this.#batch.filter(({ name }) => Object.hasOwn(arrays, name));
    checkArrays('engine-xla.prepare', arrays, Object.fromEntries(given.map(({ name }) => [name, this.#specs[name]])));
    if (this.#disposal !== undefined) throw disposedError('prepare', 'executable');
    for (const port of given) {
      const array = arrays[port.name];
      this.#prepared.push({ name: port.name, array, coming: this.#send(port, array) });
    }
  }

  async run(batch: Readonly<HostArrays>): Promise<HostArrays> {
    checkArrays('engine-xla.run', batch, this.#specs);
    if (this.#disposal !== undefined) throw disposedError('run', 'executable');
    const running = this.#run(batch);
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  /** Ends when all runs asked for have ended. */
  dispose(): Promise<void> {
    this.#disposal ??= this.#end();
    return this.#disposal;
  }

  async #end(): Promise<void> {
    await Promise.allSettled(this.#running);
    await this.#free(this.#prepared.map(({ coming }) => coming));
    this.#prepared.length = 0;
    this.#parts.loaded.dispose();
    this.#parts.onDispose();
  }

  async #run(batch: Readonly<HostArrays>): Promise<HostArrays> {
    // Copied at once, also while an earlier run is under way.
    const coming = this.#batch.map((port) => this.#take(port, batch[port.name]));
    try {
      return await this.store.exclusively(async () => this.#step(await Promise.all(coming)));
    } finally {
      await this.#free(coming);
    }
  }

  async #step(batch: readonly (readonly bigint[])[]): Promise<HostArrays> {
    const { loaded, client, devices, program } = this.#parts;
    await this.store.ready(this.#stateIn.map(({ slot }) => slot));
    const { inputs, outputs } = loaded;
    for (let device = 0; device < devices.length; device++) {
      const row = device * program.inputs.length;
      for (const { index, slot } of this.#stateIn) inputs[row + index] = slot.buffers[device];
      this.#batch.forEach(({ index }, i) => (inputs[row + index] = batch[i][device]));
    }
    try {
      await loaded.execute();
    } catch (problem) {
      this.#afterFailure(problem);
      throw explainMemory(problem, client, devices[0], loaded);
    }
    const take = (index: number, into: BigUint64Array): BigUint64Array => {
      for (let device = 0; device < into.length; device++)
        into[device] = outputs[device * program.outputs.length + index];
      return into;
    };
    for (const { index, slot } of this.#stateOut) {
      client.buffers.destroy(slot.buffers);
      take(index, slot.buffers);
    }
    return this.#readMetrics(
      this.#metrics.map((port) => ({ port, buffers: take(port.index, new BigUint64Array(devices.length)) })),
    );
  }

  async #readMetrics(
    metrics: readonly { readonly port: Placed; readonly buffers: BigUint64Array }[],
  ): Promise<HostArrays> {
    const { client } = this.#parts;
    const found: HostArrays = {};
    try {
      await settleAll(
        metrics.map(async ({ port: { name, placement }, buffers }) => {
          found[name] = await downloadArray(client, buffers, placement);
        }),
      );
      return Object.fromEntries(metrics.map(({ port: { name } }) => [name, found[name]]));
    } finally {
      for (const { buffers } of metrics) client.buffers.destroy(buffers);
    }
  }

  /** A run that failed may have used up the memory of its state; the store then says so instead of lying. */
  #afterFailure(problem: unknown): void {
    const { client } = this.#parts;
    const gone = this.#stateIn
      .map(({ slot }) => slot)
      .filter(({ buffers }) => buffers.some((buffer) => client.buffers.isDeleted(buffer)));
    if (gone.length > 0) this.store.lose(gone, problem instanceof Error ? problem.message : String(problem));
  }

  #send({ placement }: Placed, array: HostArray): Coming {
    const { client, devices } = this.#parts;
    const coming = uploadArrays(client, devices, [[placement, array]]).then(([buffers]) => buffers);
    // The error belongs to the run that takes this; until then it must not count as unhandled.
    coming.catch(() => undefined);
    return coming;
  }

  #take(port: Placed, array: HostArray): Coming {
    const found = this.#prepared.findIndex((one) => one.name === port.name && one.array === array);
    return found < 0 ? this.#send(port, array) : this.#prepared.splice(found, 1)[0].coming;
  }

  async #free(coming: readonly Coming[]): Promise<void> {
    for (const end of await Promise.allSettled(coming)) {
      if (end.status === 'fulfilled') this.#parts.client.buffers.destroy(end.value);
    }
  }
}
