import type { Buffers } from './buffers.js';
import { disposedError } from './errors.js';
import { settle, settleAll } from './events.js';
import type { Pointer } from './layout.js';
import type { Plugin } from './plugin.js';
import { Program } from './program.js';

/** How many buffers go in and out of an executable, on each of its devices. */
export interface Signature {
  readonly devices: number;
  readonly inputs: number;
  readonly outputs: number;
}

/** Pointers to `count` rows of `length` within one array. */
function rows(plugin: Plugin, all: BigUint64Array, count: number, length: number): BigUint64Array {
  const start = plugin.addressOf(all);
  return BigUint64Array.from({ length: count }, (_, i) => start + BigInt(i * length * all.BYTES_PER_ELEMENT));
}

/** A program on its devices. Its arguments and results are written to and read from memory made once. */
export class LoadedExecutable {
  /** Buffers to run with, device by device: `[devices, inputs]`. */
  readonly inputs: BigUint64Array;
  /** Buffers that a run has made: `[devices, outputs]`; they belong to whoever started it. */
  readonly outputs: BigUint64Array;
  readonly #plugin: Plugin;
  readonly #buffers: Buffers;
  readonly #handle: Pointer;
  readonly #events: BigUint64Array;
  readonly #arguments;
  #disposed = false;

  constructor(plugin: Plugin, buffers: Buffers, handle: Pointer, { devices, inputs, outputs }: Signature) {
    this.#plugin = plugin;
    this.#buffers = buffers;
    this.#handle = handle;
    plugin.live.executables++;
    // Never empty: an empty array has no address.
    const pointers = (count: number): BigUint64Array => new BigUint64Array(Math.max(1, count));
    this.inputs = pointers(devices * inputs);
    this.outputs = pointers(devices * outputs);
    this.#events = pointers(devices);
    this.#arguments = plugin.argumentsOf('LoadedExecutable_Execute', {
      executable: handle,
      options: plugin.struct('ExecuteOptions', {}),
      argument_lists: rows(plugin, this.inputs, devices, inputs),
      num_devices: devices,
      num_args: inputs,
      output_lists: rows(plugin, this.outputs, devices, outputs),
      device_complete_events: this.#events,
    });
  }

  /**
   * Runs once with the buffers in {@link inputs}; then {@link outputs} has the new ones. One run at a time.
   *
   * @throws SslError `OUT_OF_MEMORY`, `ENGINE_FAILED`; no outputs are left then
   */
  async execute(): Promise<void> {
    if (this.#disposed) throw disposedError('execute', 'executable');
    const plugin = this.#plugin;
    const held = [this.inputs, this.outputs];
    this.outputs.fill(0n);
    this.#events.fill(0n);
    // Off the main thread: some plugins run small programs right here, others wait for room in their queue.
    await plugin.callAsync('LoadedExecutable_Execute', this.#arguments, held);
    plugin.live.buffers += this.outputs.reduce((count, handle) => (handle === 0n ? count : count + 1), 0);
    try {
      await settleAll(Array.from(this.#events, (event) => settle(plugin, event, [this.#arguments, ...held])));
    } catch (problem) {
      this.#buffers.destroy(this.outputs);
      throw problem;
    }
  }

  /** What can be known about the program; to be disposed. */
  program(): Program {
    const found = this.#plugin.call('LoadedExecutable_GetExecutable', { loaded_executable: this.#handle });
    return new Program(this.#plugin, found.big('executable'));
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#plugin.call('LoadedExecutable_Destroy', { executable: this.#handle });
    this.#plugin.live.executables--;
  }
}
