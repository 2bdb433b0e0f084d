import { bytesOf, sizeOf } from '@selfsup/core';
import { flagOf, windowGeometry } from './attributes.js';
import type { Graph, Node, Op, Value } from './graph.js';
import { lastUses } from './liveness.js';

/** Floating point operations of one run; a multiply-add counts as two. */
export interface FlopEstimate {
  readonly total: number;
  /** Of matrix products whose factors may be rounded, those of attention among them. */
  readonly roundable: number;
  /** By operation, only those that cost something. */
  readonly byOp: Readonly<Partial<Record<Op, number>>>;
}

/** Bytes in use at the fullest moment when nodes run in order and values die after their last use. */
export interface ByteEstimate {
  readonly state: number;
  readonly batch: number;
  readonly constants: number;
  /** Most bytes of intermediates alive at once; results (the new state among them) live to the end. */
  readonly intermediates: number;
  /** All four together. */
  readonly peak: number;
  /** Index of the node at which the intermediates peak; -1 without nodes. */
  readonly peakNode: number;
}

/** What a graph costs. */
export interface GraphEstimate {
  readonly nodes: number;
  readonly flops: FlopEstimate;
  readonly bytes: ByteEstimate;
}

type Cost = (node: Node, inputs: readonly Value[], outputs: readonly Value[]) => number;

const perOutput =
  (flops: number): Cost =>
  (_, __, outputs) =>
    flops * sizeOf(outputs[0].shape);
const perInput =
  (flops: number): Cost =>
  (_, inputs) =>
    flops * sizeOf(inputs[0].shape);
const free: Cost = () => 0;

const last = (shape: readonly number[], back: number): number => shape[shape.length - back];

/** One multiply-add for every output element and every weight it sees: the filter `[h, w, C / groups, O]` less O. */
const convolution = (y: Value, w: Value): number => (2 * sizeOf(y.shape) * sizeOf(w.shape)) / last(w.shape, 1);

/** `flops(d, e)` for every attention weight, from q [B, H, N, d], k [B, H, M, d], v [B, H, M, e]. */
function attention([q, k, v]: readonly Value[], flops: (d: number, e: number) => number): number {
  return sizeOf(q.shape.slice(0, 3)) * last(k.shape, 2) * flops(last(q.shape, 1), last(v.shape, 1));
}

/** Where an operation is not one per output element. Transcendental functions count as one. */
const COSTS: Readonly<Partial<Record<Op, Cost>>> = {
  convert: free,
  reshape: free,
  broadcast_in_dim: free,
  transpose: free,
  slice: free,
  pad: free,
  concatenate: free,
  reverse: free,
  iota: free,
  gather: free,
  one_hot: free,
  resize_nearest: free,
  dot_general: (node, [a], [y]) => 2 * sizeOf(y.shape) * last(a.shape, flagOf(node.attrs, 'transposeA') ? 2 : 1),
  reduce: perInput(1),
  argmax: perInput(1),
  argmin: perInput(1),
  scatter_add: (_, [, updates]) => sizeOf(updates.shape),
  convolution: (_, [, w], [y]) => convolution(y, w),
  convolution_input_grad: (_, [dy, w]) => convolution(dy, w),
  convolution_filter_grad: (_, [, dy], [dw]) => convolution(dy, dw),
  reduce_window: (node, _, [y]) => sizeOf(y.shape) * sizeOf(windowGeometry(node.attrs).window),
  reduce_window_grad: (node, [dy]) => sizeOf(dy.shape) * sizeOf(windowGeometry(node.attrs).window),
  resize_bilinear: perOutput(8),
  softmax: perOutput(5),
  softmax_grad: perOutput(4),
  gelu: perOutput(5),
  gelu_grad: perOutput(9),
  layer_norm: perInput(8),
  layer_norm_grad: perInput(16),
  attention: (_, qkv) => attention(qkv, (d, e) => 2 * d + 2 * e + 5),
  attention_grad: (_, [, ...qkv]) => attention(qkv, (d, e) => 6 * d + 4 * e + 9),
  cholesky: (_, [a]) => (sizeOf(a.shape) * last(a.shape, 1)) / 3,
  triangular_solve: (_, [a, b]) => sizeOf(b.shape) * last(a.shape, 1),
  top_k: perInput(1),
};

/** Whether an engine may round factors of a node's products (attention's all, others' if they are marked). */
export const mayRound = ({ op, attrs }: Node): boolean =>
  op === 'attention' || op === 'attention_grad' || attrs['precision'] === 'default';

/** The products of attention alone. */
const PRODUCTS: Readonly<Partial<Record<Op, Cost>>> = {
  attention: (_, qkv) => attention(qkv, (d, e) => 2 * d + 2 * e),
  attention_grad: (_, [, ...qkv]) => attention(qkv, (d, e) => 6 * d + 4 * e),
};

/** Floating point operations of a graph, in all and by operation. */
export function estimateFlops(graph: Graph): FlopEstimate {
  const byOp: Partial<Record<Op, number>> = {};
  let total = 0;
  let roundable = 0;
  for (const node of graph.nodes) {
    const cost = COSTS[node.op] ?? perOutput(1);
    const [inputs, outputs] = [node.inputs, node.outputs].map((ids) => ids.map((id) => graph.values[id]));
    const flops = cost(node, inputs, outputs);
    if (mayRound(node)) roundable += (PRODUCTS[node.op] ?? cost)(node, inputs, outputs);
    if (flops === 0) continue;
    byOp[node.op] = (byOp[node.op] ?? 0) + flops;
    total += flops;
  }
  return { total, roundable, byOp };
}

const bytesOfValue = (value: Value): number => sizeOf(value.shape) * bytesOf(value.boundary ?? value.dtype);
const sum = (values: readonly Value[], bytes: (v: Value) => number): number =>
  values.reduce((total, v) => total + bytes(v), 0);

/**
 * Memory of a graph by liveness in node order: an intermediate lives from its node to its last use, nothing is updated
 * in place and no two values share memory. An engine that fuses or aliases needs less.
 */
export function estimatePeakBytes(graph: Graph): ByteEstimate {
  const inputs = graph.inputs.map((id) => graph.values[id]);
  const dying = lastUses(graph);
  let live = 0;
  let intermediates = 0;
  let peakNode = -1;
  graph.nodes.forEach((node, i) => {
    for (const id of node.outputs) live += bytesOfValue(graph.values[id]);
    if (live > intermediates) [intermediates, peakNode] = [live, i];
    for (const id of dying[i]) if (graph.values[id].role === 'intermediate') live -= bytesOfValue(graph.values[id]);
  });
  const role = (wanted: Value['role']): Value[] => inputs.filter((v) => v.role === wanted);
  const state = sum(role('state'), bytesOfValue);
  const batch = sum(role('batch'), bytesOfValue);
  const constants = sum(graph.values, (v) => (v.role === 'constant' ? (v.data?.byteLength ?? 0) : 0));
  return { state, batch, constants, intermediates, peak: state + batch + constants + intermediates, peakNode };
}

/** Cost of one run of a graph: operations and memory. */
export function estimateGraph(graph: Graph): GraphEstimate {
  return { nodes: graph.nodes.length, flops: estimateFlops(graph), bytes: estimatePeakBytes(graph) };
}
