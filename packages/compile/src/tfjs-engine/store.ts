import * as tf from '@tensorflow/tfjs-core';
import {
  checkArrays,
  formatShape,
  sameShape,
  SslError,
  type HostArrays,
  type Specs,
  type TensorSpec,
} from '@selfsup/core';
import type { StateStore } from '../engine/engine.js';
import { withBackend } from './backend.js';
import { download, upload } from './tensors.js';

interface Entry {
  readonly spec: TensorSpec;
  /** Undefined until loaded. */
  tensor: tf.Tensor | undefined;
}

/** State tensors of a tfjs backend. Everything that touches them is queued, so that nothing sees a half-done step. */
export class TfjsStore implements StateStore {
  readonly #backend: string;
  readonly #entries = new Map<string, Entry>();
  #queue: Promise<unknown> = Promise.resolve();

  constructor(backend: string) {
    this.#backend = backend;
  }

  /** Runs after everything queued before, whether that succeeded or not. */
  enqueue<T>(task: () => Promise<T> | T): Promise<T> {
    const result = this.#queue.then(task);
    this.#queue = result.catch(() => undefined);
    return result;
  }

  /** Makes room for an executable's state. @throws SslError `SHAPE_MISMATCH` when a name is known with another spec */
  declare(specs: Specs): void {
    for (const [name, spec] of Object.entries(specs)) {
      const known = this.#entries.get(name)?.spec;
      if (known === undefined || (known.dtype === spec.dtype && sameShape(known.shape, spec.shape))) continue;
      throw new SslError('SHAPE_MISMATCH', {
        where: 'compile.tfjsEngine.compile',
        expected: `state "${name}" as in the shared store: ${known.dtype} ${formatShape(known.shape)}`,
        got: `${spec.dtype} ${formatShape(spec.shape)}`,
        fix: 'use the same specs, or a store of its own',
        details: { name },
      });
    }
    for (const [name, spec] of Object.entries(specs)) {
      if (!this.#entries.has(name)) this.#entries.set(name, { spec, tensor: undefined });
    }
  }

  /** The tensors of some names. @throws SslError `BAD_DATA` when one was not loaded */
  tensors(names: readonly string[]): Map<string, tf.Tensor> {
    const found = new Map<string, tf.Tensor>();
    for (const name of names) {
      const tensor = this.#entries.get(name)?.tensor;
      if (tensor !== undefined) found.set(name, tensor);
    }
    if (found.size === names.length) return found;
    const missing = names.filter((name) => !found.has(name));
    throw new SslError('BAD_DATA', {
      where: 'compile.tfjsEngine.run',
      expected: 'state that was loaded',
      got: `${missing.length} tensors without values (${missing.slice(0, 3).join(', ')})`,
      fix: 'call load with all state arrays before the first run',
      details: { missing },
    });
  }

  /** Takes over tensors; the ones they replace are disposed. */
  replace(tensors: ReadonlyMap<string, tf.Tensor>): void {
    for (const [name, tensor] of tensors) {
      const entry = this.#entries.get(name);
      if (entry === undefined) continue;
      entry.tensor?.dispose();
      entry.tensor = tensor;
    }
  }

  load(arrays: Readonly<HostArrays>): Promise<void> {
    return this.enqueue(() => {
      const specs: Record<string, TensorSpec> = {};
      for (const [name, { spec }] of this.#entries) if (Object.hasOwn(arrays, name)) specs[name] = spec;
      checkArrays('compile.tfjsEngine.load', arrays, specs);
      withBackend(this.#backend, () => {
        const tensors = Object.entries(specs).map(([name, spec]) => {
          // Kept also when somebody's tidy is open around this.
          return [name, tf.keep(upload(arrays[name], spec.shape, spec.dtype))] as const;
        });
        this.replace(new Map(tensors));
      });
    });
  }

  read(prefixes: readonly string[]): Promise<HostArrays> {
    return this.enqueue(async () => {
      const names = [...this.#entries.keys()].filter((name) => prefixes.some((prefix) => name.startsWith(prefix)));
      if (names.length === 0) {
        throw new SslError('NO_PARAMS_MATCHED', {
          where: 'compile.tfjsEngine.read',
          expected: `state whose name starts with one of ${prefixes.map((p) => `"${p}"`).join(', ') || 'no prefix'}`,
          got: `state named ${[...this.#entries.keys()].slice(0, 6).join(', ') || 'nothing'}`,
          fix: 'use prefixes of the names in specs()',
          details: { prefixes: [...prefixes] },
        });
      }
      const found = this.tensors(names);
      const arrays: HostArrays = {};
      for (const [name, tensor] of found) arrays[name] = await download(tensor, this.specs()[name].dtype);
      return arrays;
    });
  }

  specs(): Specs {
    return Object.fromEntries([...this.#entries].map(([name, { spec }]) => [name, spec]));
  }

  dispose(): Promise<void> {
    return this.enqueue(() => {
      for (const { tensor } of this.#entries.values()) tensor?.dispose();
      this.#entries.clear();
    });
  }
}
