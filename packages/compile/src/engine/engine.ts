import type { HostArrays, Specs } from '@selfsup/core';
import type { Composite, Graph } from '../graph/graph.js';

/** A device of an engine, for `doctor` and logs. */
export interface DeviceInfo {
  readonly name: string;
  readonly kind: 'cpu' | 'gpu' | 'tpu' | 'other';
  /** Bytes of device memory, where the engine can tell. */
  readonly memoryBytes?: number;
}

/**
 * State tensors by name, living in the engine. Several executables of one engine can share a store; their specs must
 * agree on the names they have in common. Names are added by the first executable that mentions them.
 */
export interface StateStore {
  /** Puts arrays into the store (the others stay). @throws SslError `SHAPE_MISMATCH` for an unknown name or wrong length */
  load(arrays: Readonly<HostArrays>): Promise<void>;
  /** Copies out every tensor whose name starts with one of the prefixes. @throws SslError `NO_PARAMS_MATCHED` */
  read(prefixes: readonly string[]): Promise<HostArrays>;
  /** Shapes and types by name. */
  specs(): Specs;
  dispose(): Promise<void>;
}

/** What `compile` may be told. */
export interface CompileOptions {
  /** State to share with other executables; a new store by default. */
  readonly store?: StateStore;
  /** Number of threads; the engine's choice by default. */
  readonly threads?: number;
  /** Name of a bool or f32 metric of one element: when it is false (0) the new state is dropped and the old one stays. */
  readonly commitIf?: string;
}

/** A graph made ready by an engine. */
export interface Executable {
  readonly store: StateStore;
  /**
   * Starts to bring arrays of a coming batch to the device while another run is under way; `run` finds them there when it
   * is given the very same arrays, which must not change until then. Engines that read the host's memory have none.
   *
   * @throws SslError `SHAPE_MISMATCH`
   */
  prepare?(arrays: Readonly<HostArrays>): void;
  /** Runs once: batch arrays in, metrics out; the state moves on. Calls are queued, never run at once. */
  run(batch: Readonly<HostArrays>): Promise<HostArrays>;
  dispose(): Promise<void>;
}

/** Something that runs graphs. Adding one takes one folder and no change elsewhere. */
export interface Engine {
  readonly name: string;
  /** Composites this engine runs whole; the others arrive as primitives. */
  readonly composites: readonly Composite[];
  devices(): readonly DeviceInfo[];
  createStore(): StateStore;
  compile(graph: Graph, options?: CompileOptions): Promise<Executable>;
  dispose(): Promise<void>;
}
