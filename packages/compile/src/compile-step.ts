import { checkArrays, type HostArrays, type Specs, type TensorSpec } from '@selfsup/core';
import type { Engine, Executable, StateStore } from './engine/engine.js';
import type { Graph } from './graph/graph.js';
import { traceStep, type NamedTensors, type Step } from './trace/trace.js';

export interface CompileStepOptions {
  readonly engine: Engine;
  readonly state: Specs;
  readonly batch: Specs;
  /** State to share with other compiled functions of the same engine; a new store by default. */
  readonly store?: StateStore;
  /** Metric that must be true for the new state to be kept. */
  readonly commitIf?: string;
  readonly name?: string;
  readonly threads?: number;
}

/** A step made ready: state lives in the engine, batches go in, metrics come out. */
export interface CompiledStep {
  readonly graph: Graph;
  readonly store: StateStore;
  /** Puts state arrays into the engine. @throws SslError `SHAPE_MISMATCH` */
  load(arrays: Readonly<HostArrays>): Promise<void>;
  /** Starts to bring arrays of a coming batch to the device, where there is one; see `Executable.prepare`. */
  prepare(arrays: Readonly<HostArrays>): void;
  /** One step. @throws SslError `SHAPE_MISMATCH` for a wrong batch, `ENGINE_FAILED`, `OUT_OF_MEMORY` */
  run(batch: Readonly<HostArrays>): Promise<HostArrays>;
  /** Copies state out by name prefix. @throws SslError `NO_PARAMS_MATCHED` */
  read(prefixes: readonly string[]): Promise<HostArrays>;
  /** Frees the program, and the state unless it is a store that was handed in. May be called again. */
  dispose(): Promise<void>;
}

/**
 * Traces a step once and builds it once.
 *
 * @example
 * const compiled = await compileStep(step, { engine, state: specs, batch: batchSpecs });
 * await compiled.load(initialState);
 * const metrics = await compiled.run(batch);
 *
 * @throws SslError of {@link traceStep} and of the engine's compiler
 */
export async function compileStep(step: Step, options: CompileStepOptions): Promise<CompiledStep> {
  const { engine, state, batch, store, commitIf, threads } = options;
  const name = options.name ?? 'step';
  const graph = await traceStep(step, { state, batch, composites: engine.composites, name });
  const executable = await engine.compile(graph, {
    ...(store === undefined ? {} : { store }),
    ...(commitIf === undefined ? {} : { commitIf }),
    ...(threads === undefined ? {} : { threads }),
  });
  return {
    graph,
    store: executable.store,
    load: (arrays) => executable.store.load(arrays),
    prepare: (arrays) => executable.prepare?.(arrays),
    run: (arrays) => {
      checkArrays(`compile.${name}`, arrays, batch);
      return executable.run(arrays);
    },
    read: (prefixes) => executable.store.read(prefixes),
    async dispose() {
      await executable.dispose();
      // A store that was handed in belongs to whoever made it.
      if (store === undefined) await executable.store.dispose();
    },
  };
}

/** A function without state: arrays in, arrays out. */
export interface CompiledFunction {
  readonly graph: Graph;
  (inputs: Readonly<HostArrays>): Promise<HostArrays>;
  dispose(): Promise<void>;
}

export interface CompileFunctionOptions {
  readonly engine: Engine;
  readonly inputs: Specs;
  readonly name?: string;
}

/** Compiles a pure function of named tensors; see {@link compileStep}. */
export async function compileFunction(
  fn: (inputs: NamedTensors) => NamedTensors,
  options: CompileFunctionOptions,
): Promise<CompiledFunction> {
  const { engine, inputs } = options;
  const name = options.name ?? 'function';
  const step: Step = (_, batch) => ({ state: {}, metrics: fn(batch) });
  const graph = await traceStep(step, { state: {}, batch: inputs, composites: engine.composites, name });
  const executable: Executable = await engine.compile(graph);
  const call = async (arrays: Readonly<HostArrays>): Promise<HostArrays> => {
    checkArrays(`compile.${name}`, arrays, inputs);
    return executable.run(arrays);
  };
  return Object.assign(call, {
    graph,
    dispose: async () => {
      await executable.dispose();
      await executable.store.dispose();
    },
  });
}

/** Specs of host arrays that know their shapes. */
export function specsOf(tensors: Readonly<Record<string, TensorSpec>>): Specs {
  return Object.fromEntries(Object.entries(tensors).map(([k, t]) => [k, { shape: t.shape, dtype: t.dtype }]));
}
