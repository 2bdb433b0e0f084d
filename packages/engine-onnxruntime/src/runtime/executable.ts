import { commitFlag, rematerialize, type Executable, type Graph, type Op, type Value } from '@selfsup/compile';
import { checkArrays, type HostArrays, type Specs, type TensorSpec } from '@selfsup/core';
import { emitFile, elementOf, resultElement, type FilePort, type FileResult, type OnnxFile } from '../emit/file.js';
import { emitUpdate } from '../emit/update.js';
import { elementBytes, type Element } from '../element.js';
import { allocateTensor, type Block } from './memory.js';
import { planPhases, type Phases } from './phases.js';
import { disposedError, type Binding, type Runtime, type Session, type SessionOptions } from './session.js';
import type { OrtStateStore } from './store.js';

/** Elements of a parameter that an update works on at a time: its dozen arrays stay in the cache. */
const PIECE_ELEMENTS = 1 << 17;

/** Operations repeated in the backward part rather than have their results kept: a quarter of the memory for 1 % of time. */
const CHEAP_TO_REPEAT: ReadonlySet<Op> = new Set<Op>(['gelu', 'layer_norm', 'transpose', 'reshape']);

/** What an executable is made of besides its graph. */
export interface ExecutableOptions {
  readonly runtime: Runtime;
  readonly store: OrtStateStore;
  readonly session: SessionOptions;
  readonly commitIf: string | undefined;
  readonly onDispose: () => void;
}

interface Copy {
  readonly from: Block;
  readonly to: Block;
}

/** Memory of everything that crosses the border of a session. */
class GraphMemory {
  readonly batch = new Map<string, Block>();
  readonly metrics = new Map<string, Block>();
  /** New state that cannot be written over the old one: copied afterwards. */
  readonly copies: Copy[] = [];
  readonly #graph: Graph;
  readonly #store: OrtStateStore;
  readonly #runtime: Runtime;
  readonly #values = new Map<number, Block>();

  constructor(graph: Graph, { store, runtime }: ExecutableOptions) {
    this.#graph = graph;
    this.#store = store;
    this.#runtime = runtime;
    const inputs = graph.inputs.map((id) => graph.values[id]);
    // Before anything is made in a store that others share.
    store.check(Object.fromEntries(inputs.filter((v) => v.role === 'state').map((v) => [v.name, specOf(v)])));
    for (const id of graph.inputs) {
      const value = graph.values[id];
      const block = value.role === 'state' ? this.#state(value) : this.#allocate(elementOf(value), value.shape);
      if (value.role === 'batch') this.batch.set(value.name, block);
      this.#values.set(id, block);
    }
  }

  /** Makes memory for the outputs of the first phase. */
  first(file: OnnxFile): Binding[] {
    const blocks = file.outputs.map((port) => this.#allocate(port.dtype, port.shape));
    file.outputs.forEach(({ value }, i) => {
      // An input that is a metric as well is copied into the metric, but read where it came in.
      if (!this.#values.has(value)) this.#values.set(value, blocks[i]);
    });
    for (const { kind, name, value } of this.#graph.results) {
      if (kind === 'metric') this.metrics.set(name, blocks[file.outputs.findIndex((port) => port.value === value)]);
    }
    return file.outputs.map((port, i) => bindingOf(port, blocks[i]));
  }

  /** The outputs of the second phase: the state itself where that is safe. */
  second(file: OnnxFile, { updates }: Phases): Binding[] {
    const targets = new Map<string, Block>();
    for (const { result, inPlace } of updates) {
      const state = this.#state(stateInput(this.#graph, result.name) ?? this.#graph.values[result.value], result.name);
      const target = inPlace ? state : this.#allocate(state.dtype, state.shape);
      if (!inPlace) this.copies.push({ from: target, to: state });
      targets.set(result.name, target);
    }
    return file.outputs.map((port) => bindingOf(port, found(targets.get(port.key ?? ''))));
  }

  inputs(file: OnnxFile): Binding[] {
    return file.inputs.map((port) => bindingOf(port, found(this.#values.get(port.value))));
  }

  #state(value: Value, name = value.name): Block {
    return this.#store.block(name, specOf(value));
  }

  #allocate(dtype: Element, shape: readonly number[]): Block {
    if (dtype === 'f64' || dtype === 'i64') throw new TypeError(`no host arrays of ${dtype}`);
    return allocateTensor(dtype, shape, this.#runtime.addressOf);
  }
}

const specOf = ({ shape, dtype, boundary = dtype }: Value): TensorSpec => ({ shape, dtype: boundary });

function found(block: Block | undefined): Block {
  if (block === undefined) throw new TypeError('a border of a session without memory');
  return block;
}

function bindingOf({ name, dtype, shape, range }: FilePort, { bytes }: Block): Binding {
  if (range === undefined) return { name, dtype, shape, bytes };
  const size = elementBytes(dtype);
  return { name, dtype, shape, bytes: bytes.subarray(range.start * size, (range.start + range.length) * size) };
}

function stateInput(graph: Graph, name: string): Value | undefined {
  return graph.inputs.map((id) => graph.values[id]).find((v) => v.role === 'state' && v.name === name);
}

/** Inputs of the graph and other values that some nodes or results of a file read. */
function readBy(
  graph: Graph,
  nodes: Phases['first'],
  results: readonly FileResult[],
  also: readonly number[],
): number[] {
  const read = new Set([...nodes.flatMap((node) => node.inputs), ...results.map((r) => r.value)]);
  return [...graph.inputs, ...also].filter((id) => read.has(id));
}

/** The file of the first phase. */
export function firstFile(graph: Graph, { first, crossing }: Phases): OnnxFile {
  const values = new Set([...graph.results.filter((r) => r.kind === 'metric').map((r) => r.value), ...crossing]);
  const results = [...values].map((value) => ({ key: String(value), value, element: graph.values[value].dtype }));
  const inputs = readBy(graph, first, results, []);
  return emitFile(graph, { name: `${graph.name}.first`, nodes: first, inputs, results });
}

function secondFile(graph: Graph, { second, crossing, updates }: Phases): OnnxFile {
  const results = updates.map(({ result }) => ({
    key: result.name,
    value: result.value,
    element: resultElement(graph, result),
  }));
  const inputs = readBy(graph, second, results, crossing);
  return emitUpdate(graph, { name: `${graph.name}.second`, nodes: second, inputs, results }, PIECE_ELEMENTS);
}

/**
 * A graph in one or two sessions. The first computes the metrics and everything heavy, the second updates the state in
 * place; it is left out when the `commitIf` metric says so.
 */
export class OrtExecutable implements Executable {
  readonly store: OrtStateStore;
  readonly #memory: GraphMemory;
  readonly #specs: Specs;
  /** Undefined when there is nothing but state to move. */
  readonly #first: Session | undefined;
  readonly #second: Session | undefined;
  readonly #options: ExecutableOptions;
  #disposal: Promise<void> | undefined;

  private constructor(
    memory: GraphMemory,
    [first, second]: readonly (Session | undefined)[],
    options: ExecutableOptions,
  ) {
    this.store = options.store;
    this.#memory = memory;
    this.#specs = Object.fromEntries(
      [...memory.batch].map(([name, { shape, dtype }]) => [name, { shape, dtype: dtype as Specs[string]['dtype'] }]),
    );
    this.#first = first;
    this.#second = second;
    this.#options = options;
  }

  /** @throws SslError `UNSUPPORTED`, `ENGINE_FAILED`, `OUT_OF_MEMORY`, `UNKNOWN_NAME`, `SHAPE_MISMATCH` */
  static async create(given: Graph, options: ExecutableOptions): Promise<OrtExecutable> {
    if (options.commitIf !== undefined) commitFlag('engine-onnxruntime.compile', given, options.commitIf);
    const graph = rematerialize(given, CHEAP_TO_REPEAT);
    const phases = planPhases(graph);
    const memory = new GraphMemory(graph, options);
    const open = (phase: string, file: OnnxFile, outputs: Binding[]): Promise<Session> => {
      const { profile } = options.session;
      const settings = profile === undefined ? options.session : { ...options.session, profile: `${profile}-${phase}` };
      return options.runtime.createSession(file.bytes, memory.inputs(file), outputs, settings);
    };
    const first = async (): Promise<Session | undefined> => {
      const file = firstFile(graph, phases);
      const outputs = memory.first(file);
      return outputs.length === 0 ? undefined : open('first', file, outputs);
    };
    const second = async (): Promise<Session | undefined> => {
      if (phases.updates.length === 0) return undefined;
      const file = secondFile(graph, phases);
      return open('second', file, memory.second(file, phases));
    };
    // At once: onnxruntime makes a session on one thread.
    const ends = await Promise.allSettled([first(), second()]);
    const sessions = ends.map((end) => (end.status === 'fulfilled' ? end.value : undefined));
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed === undefined) return new OrtExecutable(memory, sessions, options);
    for (const session of sessions) await session?.dispose();
    throw failed.reason as Error;
  }

  async run(batch: Readonly<HostArrays>): Promise<HostArrays> {
    checkArrays('engine-onnxruntime.run', batch, this.#specs);
    if (this.#disposal !== undefined) throw disposedError();
    return this.store.exclusively(async () => {
      for (const [name, block] of this.#memory.batch) block.data.set(batch[name]);
      await this.#first?.run();
      if (this.#second !== undefined && this.#commits()) {
        await this.#second.run();
        for (const { from, to } of this.#memory.copies) to.data.set(from.data);
      }
      return Object.fromEntries([...this.#memory.metrics].map(([name, { data }]) => [name, data.slice()]));
    });
  }

  /** Ends when all runs asked for have ended; later ones are refused at once, since nothing may run on a freed session. */
  dispose(): Promise<void> {
    this.#disposal ??= this.#end();
    return this.#disposal;
  }

  async #end(): Promise<void> {
    await this.store.settled();
    await this.#first?.dispose();
    await this.#second?.dispose();
    this.#options.onDispose();
  }

  #commits(): boolean {
    const { commitIf } = this.#options;
    if (commitIf === undefined) return true;
    const flag = this.#memory.metrics.get(commitIf)?.data[0] ?? 0;
    return flag !== 0 && !Number.isNaN(flag);
  }
}
