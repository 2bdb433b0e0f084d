import { availableParallelism, totalmem } from 'node:os';
import { COMPOSITES, type CompileOptions, type DeviceInfo, type Engine, type Graph } from '@selfsup/compile';
import { SslError } from '@selfsup/core';
import { chooseRuntime, type ApiChoice } from './runtime/choose.js';
import { OrtExecutable } from './runtime/executable.js';
import { disposedError, type Runtime, type SessionOptions } from './runtime/session.js';
import { OrtStateStore } from './runtime/store.js';

/** Options of {@link onnxruntimeEngine}. */
export interface OnnxruntimeOptions {
  /** Which interface of onnxruntime: `auto` (default) is its C API, else its JavaScript API. */
  readonly api?: ApiChoice;
  /** Threads of an operation; the machine's cores by default. */
  readonly threads?: number;
  /** Entries of onnxruntime's session configuration, on top of ours. */
  readonly sessionConfig?: Readonly<Record<string, string>>;
  /** Start of the path under which onnxruntime writes profiles (JSON, Chrome trace format) when sessions end. */
  readonly profile?: string;
}

/** The onnxruntime engine, and how it reaches onnxruntime. */
export interface OnnxruntimeEngine extends Engine {
  readonly name: 'onnxruntime';
  /** The interface in use. */
  readonly api: 'c' | 'js';
  /** Why the C API is not in use although `auto` would have taken it. */
  readonly fallbackReason?: string;
  /** Version of onnxruntime. */
  readonly version: string;
}

/** Settings that training steps are fastest with (measured, see the package's documentation). */
const SESSION_CONFIG = {
  // Squares of small gradients are denormal numbers, which cost a hundred times as much.
  'session.set_denormal_as_zero': '1',
} as const;

class OrtEngine implements OnnxruntimeEngine {
  readonly name = 'onnxruntime';
  readonly composites = COMPOSITES;
  readonly #runtime: Runtime;
  readonly #session: SessionOptions;
  readonly #live = new Set<OrtExecutable>();
  #disposed = false;

  constructor(
    runtime: Runtime,
    session: SessionOptions,
    readonly fallbackReason: string | undefined,
  ) {
    this.#runtime = runtime;
    this.#session = session;
  }

  get api(): 'c' | 'js' {
    return this.#runtime.api;
  }

  get version(): string {
    return this.#runtime.version;
  }

  devices(): readonly DeviceInfo[] {
    const how = this.api === 'c' ? 'C API' : 'JavaScript API';
    const name = `cpu (onnxruntime ${this.version}, ${how}, ${this.#session.threads} threads)`;
    return [{ name, kind: 'cpu', memoryBytes: totalmem() }];
  }

  createStore(): OrtStateStore {
    return new OrtStateStore(this.#runtime.addressOf);
  }

  async compile(graph: Graph, { store, threads, commitIf }: CompileOptions = {}): Promise<OrtExecutable> {
    if (this.#disposed) throw disposedError();
    const session = threads === undefined ? this.#session : { ...this.#session, threads };
    const executable = await OrtExecutable.create(graph, {
      runtime: this.#runtime,
      store: store === undefined ? this.createStore() : ownStore(store),
      session,
      commitIf,
      onDispose: () => this.#live.delete(executable),
    });
    this.#live.add(executable);
    return executable;
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    await Promise.all([...this.#live].map((executable) => executable.dispose()));
  }
}

function ownStore(store: unknown): OrtStateStore {
  if (store instanceof OrtStateStore) return store;
  throw new SslError('BAD_OPTION', {
    where: 'engine-onnxruntime.compile',
    expected: 'a state store of the onnxruntime engine',
    got: 'a store of another engine',
    fix: 'make it with createStore() of this engine',
  });
}

function checkThreads(threads: number): number {
  if (Number.isInteger(threads) && threads >= 1) return threads;
  throw new SslError('BAD_OPTION', {
    where: 'engine-onnxruntime.onnxruntimeEngine',
    expected: 'threads: a whole number of at least 1',
    got: String(threads),
    fix: 'leave it out to use all cores',
    details: { threads },
  });
}

/**
 * Starts the onnxruntime engine on the CPU: graphs become ONNX files, state stays in memory that onnxruntime reads and
 * writes in place, and runs leave the event loop free.
 *
 * @throws SslError `ENGINE_MISSING` when onnxruntime (or the interface asked for) does not work here, `BAD_OPTION`
 *
 * @example
 * const engine = await onnxruntimeEngine();
 * const compiled = await compileStep(step, { engine, state, batch, commitIf: 'finite' });
 */
export async function onnxruntimeEngine(options: OnnxruntimeOptions = {}): Promise<OnnxruntimeEngine> {
  const { api = 'auto', threads = availableParallelism(), sessionConfig = {}, profile } = options;
  const session: SessionOptions = {
    threads: checkThreads(threads),
    // Fusions are ours to choose; onnxruntime's own change the order of execution and undo recomputation.
    optimization: 'disabled',
    config: { ...SESSION_CONFIG, ...sessionConfig },
    ...(profile === undefined ? {} : { profile }),
  };
  const { runtime, fallbackReason } = await chooseRuntime(api);
  return new OrtEngine(runtime, session, fallbackReason);
}
