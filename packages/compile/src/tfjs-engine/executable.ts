import * as tf from '@tensorflow/tfjs-core';
import { checkArrays, sizeOf, SslError, type HostArrays, type Specs, type TensorSpec } from '@selfsup/core';
import { commitFlag } from '../engine/commit-flag.js';
import type { Executable } from '../engine/engine.js';
import type { Graph, Node, Value } from '../graph/graph.js';
import { lastUses } from '../graph/liveness.js';
import { registeredName, withBackend } from './backend.js';
import { Kernels } from './kernels.js';
import { RULES } from './rules.js';
import type { TfjsStore } from './store.js';
import { download, tfjsDType, upload } from './tensors.js';

/** Constants of one repeated value above this size are made when a run needs them and not kept. */
const LARGEST_KEPT_SPLAT = 1 << 16;

/** Tensors a run hands over, before it is known whether the new state is kept. */
interface Outcome {
  readonly state: Map<string, tf.Tensor>;
  readonly metrics: Map<string, tf.Tensor>;
}

function specsOf(graph: Graph, role: 'state' | 'batch'): Specs {
  const specs: Record<string, TensorSpec> = {};
  for (const id of graph.inputs) {
    const v = graph.values[id];
    if (v.role === role) specs[v.name] = { shape: v.shape, dtype: v.boundary ?? v.dtype };
  }
  return specs;
}

export interface TfjsExecutableOptions {
  readonly backend: string;
  readonly store: TfjsStore;
  readonly commitIf: string | undefined;
  readonly onDispose: () => void;
}

/** A graph that runs node by node on a tfjs backend. */
export class TfjsExecutable implements Executable {
  readonly store: TfjsStore;
  readonly #graph: Graph;
  readonly #backend: string;
  readonly #commitIf: string | undefined;
  readonly #onDispose: () => void;
  readonly #state: Specs;
  readonly #batch: Specs;
  readonly #dying: readonly (readonly number[])[];
  readonly #kernels: Kernels;
  readonly #constants = new Map<number, tf.Tensor>();
  #disposed = false;

  /**
   * @throws SslError `UNSUPPORTED` for composites the engine does not list, `UNKNOWN_NAME` or `SHAPE_MISMATCH` for
   * `commitIf`, `SHAPE_MISMATCH` when the store knows a state under another spec
   */
  constructor(graph: Graph, { backend, store, commitIf, onDispose }: TfjsExecutableOptions) {
    for (const node of graph.nodes) ruleOf(node);
    if (commitIf !== undefined) commitFlag('compile.tfjsEngine.compile', graph, commitIf);
    this.#graph = graph;
    this.#backend = backend;
    this.#commitIf = commitIf;
    this.#onDispose = onDispose;
    this.#state = specsOf(graph, 'state');
    this.#batch = specsOf(graph, 'batch');
    this.#dying = lastUses(graph);
    this.#kernels = new Kernels(registeredName(backend));
    this.store = store;
    store.declare(this.#state);
    withBackend(backend, () => {
      for (const v of graph.values) {
        if (v.role === 'constant' && !isLargeSplat(v)) this.#constants.set(v.id, tf.keep(constantTensor(v)));
      }
    });
  }

  run(batch: Readonly<HostArrays>): Promise<HostArrays> {
    return this.store.enqueue(async () => {
      if (this.#disposed) {
        throw new SslError('BAD_OPTION', {
          where: 'compile.tfjsEngine.run',
          expected: 'an executable in use',
          got: 'a disposed one',
          fix: 'compile the graph again',
        });
      }
      checkArrays('compile.tfjsEngine.run', batch, this.#batch);
      const { state, metrics } = withBackend(this.#backend, () => this.#execute(batch));
      let commit = false;
      try {
        const arrays: HostArrays = {};
        for (const { kind, name, value } of this.#graph.results) {
          const tensor = kind === 'metric' ? metrics.get(name) : undefined;
          if (tensor !== undefined) arrays[name] = await download(tensor, this.#graph.values[value].dtype);
        }
        const flag = this.#commitIf === undefined ? 1 : arrays[this.#commitIf][0];
        commit = flag !== 0 && !Number.isNaN(flag);
        return arrays;
      } finally {
        tf.dispose([...metrics.values()]);
        if (commit) this.store.replace(state);
        else tf.dispose([...state.values()]);
      }
    });
  }

  dispose(): Promise<void> {
    return this.store.enqueue(() => {
      this.#disposed = true;
      tf.dispose([...this.#constants.values()]);
      this.#constants.clear();
      this.#onDispose();
    });
  }

  /** Runs all nodes; inputs and intermediates are disposed after their last use. */
  #execute(batch: Readonly<HostArrays>): Outcome {
    const { values, inputs, nodes, results } = this.#graph;
    const state = this.store.tensors(Object.keys(this.#state));
    const outcome: Outcome = { state: new Map(), metrics: new Map() };
    tf.tidy(() => {
      const live = new Map<number, tf.Tensor>(this.#constants);
      for (const id of inputs) {
        const { name, role, boundary = 'f32', shape } = values[id];
        const tensor = role === 'state' ? state.get(name) : upload(batch[name], shape, boundary);
        if (tensor !== undefined) live.set(id, tensor);
      }
      const get = (id: number): tf.Tensor => {
        const known = live.get(id);
        if (known !== undefined) return known;
        const made = constantTensor(values[id]);
        live.set(id, made);
        return made;
      };
      nodes.forEach((node, i) => {
        const outputs = this.#runNode(node, node.inputs.map(get));
        node.outputs.forEach((id, k) => live.set(id, outputs[k]));
        for (const id of this.#dying[i]) {
          if (values[id].role !== 'state' && !this.#constants.has(id)) live.get(id)?.dispose();
          live.delete(id);
        }
      });
      for (const { kind, name, value } of results) {
        // A clone shares the data, so that one value may be several results, an input or a constant.
        const tensors = kind === 'state' ? outcome.state : outcome.metrics;
        tensors.set(name, tf.keep(tf.clone(get(value))));
      }
    });
    return outcome;
  }

  /** One node, with what it makes on the way tidied. @throws SslError `ENGINE_FAILED` naming the node */
  #runNode(node: Node, inputs: readonly tf.Tensor[]): tf.Tensor[] {
    const outputs = node.outputs.map((id) => this.#graph.values[id]);
    try {
      return tf.tidy(() => {
        if (outputs.every((v) => sizeOf(v.shape) === 0)) return outputs.map((v) => fill(v, 0));
        return [ruleOf(node)({ kernels: this.#kernels, inputs, attrs: node.attrs, outputs })].flat();
      });
    } catch (cause) {
      if (SslError.is(cause)) throw cause;
      const types = inputs.map((x) => `${x.dtype} [${x.shape.join(', ')}]`).join(', ');
      throw new SslError('ENGINE_FAILED', {
        where: 'compile.tfjsEngine.run',
        expected: `${node.op} to run on the tfjs backend ${this.#backend}`,
        got: `${cause instanceof Error ? cause.message : String(cause)} for inputs ${types}`,
        fix: 'use another backend or engine, and report this',
        details: { op: node.op, backend: this.#backend },
        cause,
      });
    }
  }
}

function ruleOf(node: Node): NonNullable<(typeof RULES)[Node['op']]> {
  const rule = RULES[node.op];
  if (rule !== undefined) return rule;
  throw new SslError('UNSUPPORTED', {
    where: 'compile.tfjsEngine.compile',
    expected: 'primitives and the composites this engine lists',
    got: node.op,
    fix: "trace with the engine's own list of composites",
    details: { op: node.op },
  });
}

const isLargeSplat = (v: Value): boolean => v.data?.length === 1 && sizeOf(v.shape) > LARGEST_KEPT_SPLAT;

const fill = (v: Value, value: number): tf.Tensor => tf.fill([...v.shape], value, tfjsDType(v.dtype));

function constantTensor(v: Value): tf.Tensor {
  const { data = new Uint8Array() } = v;
  return data.length === 1 && sizeOf(v.shape) !== 1 ? fill(v, data[0]) : upload(data, v.shape, v.dtype);
}
