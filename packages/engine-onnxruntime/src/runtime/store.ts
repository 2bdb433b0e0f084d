import type { StateStore } from '@selfsup/compile';
import {
  checkArrays,
  formatShape,
  nearestName,
  sameShape,
  SslError,
  type HostArrays,
  type Specs,
  type TensorSpec,
} from '@selfsup/core';
import { allocateTensor, type AddressOf, type Block } from './memory.js';

/** State in memory that onnxruntime reads and writes in place. Its tensors never move while the store lives. */
export class OrtStateStore implements StateStore {
  readonly #addressOf: AddressOf | undefined;
  readonly #blocks = new Map<string, Block>();
  readonly #specs = new Map<string, TensorSpec>();
  #last: Promise<unknown> = Promise.resolve();
  #disposed = false;
  #disposal: Promise<void> | undefined;

  constructor(addressOf: AddressOf | undefined) {
    this.#addressOf = addressOf;
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

  /** Waits until everything asked for so far is done. */
  async settled(): Promise<void> {
    await this.#last;
  }

  /** Whether tensors are what this store holds under their names, if it does. @throws SslError `SHAPE_MISMATCH` */
  check(specs: Specs): void {
    this.#checkAlive();
    for (const [name, { dtype, shape }] of Object.entries(specs)) {
      const known = this.#specs.get(name);
      if (known === undefined || (known.dtype === dtype && sameShape(known.shape, shape))) continue;
      throw new SslError('SHAPE_MISMATCH', {
        where: 'engine-onnxruntime.compile',
        expected: `state ${name} of ${known.dtype} ${formatShape(known.shape)}, as the shared store holds it`,
        got: `${dtype} ${formatShape(shape)}`,
        fix: 'compile functions that share a store with the same state specs',
        details: { name },
      });
    }
  }

  /** The memory of a tensor; made, with zeros, when an executable mentions it first. */
  block(name: string, spec: TensorSpec): Block {
    this.check({ [name]: spec });
    const block = this.#blocks.get(name);
    if (block !== undefined) return block;
    const made = allocateTensor(spec.dtype, spec.shape, this.#addressOf);
    this.#blocks.set(name, made);
    this.#specs.set(name, { shape: [...spec.shape], dtype: spec.dtype });
    return made;
  }

  load(arrays: Readonly<HostArrays>): Promise<void> {
    return this.exclusively(() => {
      const specs: Record<string, TensorSpec> = {};
      for (const name of Object.keys(arrays)) {
        const spec = this.#specs.get(name);
        if (spec !== undefined) specs[name] = spec;
      }
      checkArrays('engine-onnxruntime.load', arrays, specs);
      for (const [name, data] of Object.entries(arrays)) this.#blocks.get(name)?.data.set(data);
    });
  }

  read(prefixes: readonly string[]): Promise<HostArrays> {
    return this.exclusively(() => {
      const found = [...this.#blocks].filter(([name]) => prefixes.some((prefix) => name.startsWith(prefix)));
      if (found.length > 0) return Object.fromEntries(found.map(([name, { data }]) => [name, data.slice()]));
      const known = [...this.#blocks.keys()];
      const near = nearestName(prefixes[0] ?? '', known);
      throw new SslError('NO_PARAMS_MATCHED', {
        where: 'engine-onnxruntime.read',
        expected: `a prefix of one of ${known.length} state names`,
        got: prefixes.length === 0 ? 'no prefix' : prefixes.join(', '),
        fix: near === undefined ? 'use a prefix of the names in specs()' : `did you mean "${near}"`,
        details: { prefixes: [...prefixes] },
      });
    });
  }

  specs(): Specs {
    return Object.fromEntries(this.#specs);
  }

  /** In its turn: what was asked for before still finds the state. */
  dispose(): Promise<void> {
    this.#disposal ??= this.exclusively(() => {
      this.#disposed = true;
      this.#blocks.clear();
      this.#specs.clear();
    });
    return this.#disposal;
  }

  #checkAlive(): void {
    if (!this.#disposed) return;
    throw new SslError('ENGINE_FAILED', {
      where: 'engine-onnxruntime.store',
      expected: 'a live state store',
      got: 'a disposed one',
      fix: 'keep the store (or the executable that made it) until the state is no longer needed',
    });
  }
}
