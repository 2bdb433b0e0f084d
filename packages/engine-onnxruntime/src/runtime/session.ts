import { SslError } from '@selfsup/core';
import { ELEMENT, type Element } from '../element.js';
import type { OrtApi, Pointer } from './c-api.js';
import type { AddressOf } from './memory.js';

/** How much onnxruntime rewrites the graph itself. */
export const OPTIMIZATION = { disabled: 0, basic: 1, extended: 2, all: 99 } as const;

/** Options of a session. */
export interface SessionOptions {
  readonly threads: number;
  readonly optimization: keyof typeof OPTIMIZATION;
  /** Entries of onnxruntime's session configuration, e.g. `session.intra_op.allow_spinning`. */
  readonly config: Readonly<Record<string, string>>;
  /** Start of the path of a profile to write. */
  readonly profile?: string;
}

/** Memory bound to an input or output: it is read and written in place. */
export interface Binding {
  readonly name: string;
  readonly dtype: Element;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** An ONNX file made ready, its inputs and outputs bound to memory of ours for good. */
export interface Session {
  /** Runs once; afterwards the memory of the outputs holds the results. */
  run(): Promise<void>;
  dispose(): Promise<void>;
}

/** Makes sessions: the C API or the JavaScript API of onnxruntime. */
export interface Runtime {
  readonly api: 'c' | 'js';
  readonly version: string;
  /** Address of memory, where it can be told. */
  readonly addressOf: AddressOf | undefined;
  createSession(
    model: Uint8Array,
    inputs: readonly Binding[],
    outputs: readonly Binding[],
    options: SessionOptions,
  ): Promise<Session>;
}

/** The error of a run after `dispose()`. */
export function disposedError(): SslError {
  return new SslError('ENGINE_FAILED', {
    where: 'engine-onnxruntime.run',
    expected: 'a live executable',
    got: 'a disposed one',
    fix: 'do not use it after dispose()',
  });
}

/** Sessions through the C API: bound once, nothing copied, run on a worker thread. */
export class NativeRuntime implements Runtime {
  readonly api = 'c';
  readonly #api: OrtApi;

  constructor(api: OrtApi) {
    this.#api = api;
  }

  get version(): string {
    return this.#api.version;
  }

  get addressOf(): AddressOf {
    return this.#api.addressOf;
  }

  async createSession(
    model: Uint8Array,
    inputs: readonly Binding[],
    outputs: readonly Binding[],
    options: SessionOptions,
  ): Promise<Session> {
    this.#api.acquireArena();
    try {
      const session = await openSession(this.#api, model, options);
      try {
        return new NativeSession(this.#api, session, inputs, outputs);
      } catch (problem) {
        this.#api.release('ReleaseSession', session);
        throw problem;
      }
    } catch (problem) {
      this.#api.releaseArena();
      throw problem;
    }
  }
}

class NativeSession implements Session {
  readonly #api: OrtApi;
  readonly #session: Pointer;
  readonly #binding: Pointer;
  readonly #values: Pointer[] = [];
  /** Holds the bound memory, so that it lives as long as the binding. */
  readonly #memory: Uint8Array[] = [];
  #disposed = false;

  constructor(api: OrtApi, session: Pointer, inputs: readonly Binding[], outputs: readonly Binding[]) {
    this.#api = api;
    this.#session = session;
    this.#binding = api.make('CreateIoBinding', session);
    try {
      for (const input of inputs) api.call('BindInput', this.#binding, input.name, this.#value(input));
      for (const output of outputs) api.call('BindOutput', this.#binding, output.name, this.#value(output));
    } catch (problem) {
      this.#unbind();
      throw problem;
    }
  }

  async run(): Promise<void> {
    if (this.#disposed) throw disposedError();
    await this.#api.callAsync('RunWithBinding', this.#session, null, this.#binding);
  }

  dispose(): Promise<void> {
    if (!this.#disposed) {
      this.#disposed = true;
      this.#unbind();
      this.#api.release('ReleaseSession', this.#session);
      this.#api.releaseArena();
    }
    return Promise.resolve();
  }

  #unbind(): void {
    this.#api.release('ReleaseIoBinding', this.#binding);
    for (const value of this.#values) this.#api.release('ReleaseValue', value);
    this.#memory.length = 0;
  }

  #value({ dtype, shape, bytes }: Binding): Pointer {
    const dims = BigInt64Array.from(shape, BigInt);
    const value = this.#api.make(
      'CreateTensorWithDataAsOrtValue',
      this.#api.memoryInfo,
      bytes,
      bytes.byteLength,
      dims,
      dims.length,
      ELEMENT[dtype],
    );
    this.#values.push(value);
    this.#memory.push(bytes);
    return value;
  }
}

async function openSession(api: OrtApi, model: Uint8Array, options: SessionOptions): Promise<Pointer> {
  const settings = api.make('CreateSessionOptions');
  try {
    // The memory pattern reserves everything for its widest moment: it costs half as much memory again.
    api.call('DisableMemPattern', settings);
    api.call('AddSessionConfigEntry', settings, 'session.use_env_allocators', '1');
    api.call('SetIntraOpNumThreads', settings, options.threads);
    api.call('SetSessionGraphOptimizationLevel', settings, OPTIMIZATION[options.optimization]);
    for (const [key, value] of Object.entries(options.config)) {
      api.call('AddSessionConfigEntry', settings, key, value);
    }
    if (options.profile !== undefined) api.call('EnableProfiling', settings, options.profile);
    return await api.makeAsync('CreateSessionFromArray', api.environment, model, model.byteLength, settings);
  } finally {
    api.release('ReleaseSessionOptions', settings);
  }
}
