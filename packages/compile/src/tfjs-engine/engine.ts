import * as tf from '@tensorflow/tfjs-core';
import { SslError } from '@selfsup/core';
import type { CompileOptions, Engine, StateStore } from '../engine/engine.js';
import { validateGraph } from '../graph/validate.js';
import { deviceOf, startBackend } from './backend.js';
import { TfjsExecutable } from './executable.js';
import { TFJS_COMPOSITES } from './rules.js';
import { TfjsStore } from './store.js';

/** What {@link tfjsEngine} may be told. */
export interface TfjsEngineOptions {
  /**
   * `cpu`, `wasm`, `webgl`, `webgpu`, `node` (tfjs-node), `node-gpu`, or any name a backend is registered under.
   * By default the backend that is active when the engine is created.
   */
  readonly backend?: string;
  /** Runs before the first use of the backend, e.g. to register it. */
  readonly prepare?: () => Promise<void>;
}

/**
 * An engine that runs graphs operation by operation on a registered tfjs backend: slow, and everywhere. Each run
 * borrows tfjs's global engine for a stretch without awaits and gives the backend that was active back. tfjs backends
 * choose their number of threads themselves (`threads` has no effect).
 *
 * `compile` throws SslError `BACKEND_MISSING` when the backend is not registered or does not start; another one is
 * never taken instead. A kernel the backend lacks runs on tfjs's cpu backend.
 */
export function tfjsEngine(options: TfjsEngineOptions = {}): Engine {
  const backend = options.backend ?? (tf.getBackend() as string | undefined) ?? 'cpu';
  const stores = new Set<TfjsStore>();
  const executables = new Set<TfjsExecutable>();
  let ready: Promise<void> | undefined;

  const start = async (): Promise<void> => {
    try {
      await options.prepare?.();
      await startBackend(backend);
    } catch (error) {
      // The backend may be registered later.
      ready = undefined;
      throw error;
    }
  };
  const createStore = (): TfjsStore => {
    const store = new TfjsStore(backend);
    stores.add(store);
    return store;
  };
  const ownStore = (store: StateStore): TfjsStore => {
    if (store instanceof TfjsStore && stores.has(store)) return store;
    throw new SslError('BAD_OPTION', {
      where: 'compile.tfjsEngine.compile',
      expected: 'a store of this engine',
      got: 'a store of another one',
      fix: 'make it with createStore of the engine that compiles',
    });
  };

  return {
    name: 'tfjs',
    composites: TFJS_COMPOSITES,
    devices: () => [deviceOf(backend)],
    createStore,
    async compile(graph, { store, commitIf }: CompileOptions = {}) {
      ready ??= start();
      await ready;
      validateGraph(graph);
      const executable = new TfjsExecutable(graph, {
        backend,
        store: store === undefined ? createStore() : ownStore(store),
        commitIf,
        onDispose: () => executables.delete(executable),
      });
      executables.add(executable);
      return executable;
    },
    async dispose() {
      await Promise.all([...executables, ...stores].map((owned) => owned.dispose()));
      stores.clear();
    },
  };
}
