import {
  checkArrays,
  hostArray,
  sizeOf,
  SslError,
  type HostArray,
  type HostArrays,
  type TensorSpec,
} from '@selfsup/core';
import type { Attributes } from '../graph/attributes.js';
import type { Graph, GraphDType, Op, Value } from '../graph/graph.js';
import { lastUses } from '../graph/liveness.js';
import { COMPOSITE } from './composites.js';
import { ELEMENTWISE } from './elementwise.js';
import { allocate, type Evaluator, type HostValue, type NumericArray, type Precision } from './host-value.js';
import { MATRIX } from './matrix.js';
import { REDUCTION } from './reductions.js';
import { SHAPE } from './shape.js';
import { WINDOW } from './windows.js';

/** Every primitive and every composite. */
const EVALUATORS: Readonly<Record<Op, Evaluator>> = {
  ...ELEMENTWISE,
  ...SHAPE,
  ...REDUCTION,
  ...MATRIX,
  ...WINDOW,
  ...COMPOSITE,
};

/** Named arrays as the interpreter hands them back; f32 values are Float64Array when it computes in double. */
export type NumericArrays = Record<string, NumericArray>;

/** How to interpret. */
export interface InterpretOptions {
  /** `f64` holds every f32 value in double, inputs included: the reference other engines are compared with. */
  readonly precision?: Precision;
}

/** What a run of a graph hands back. */
export interface Interpreted<Arrays> {
  /** The whole new state: results, and the tensors that stay as they were. */
  readonly state: Arrays;
  readonly metrics: Arrays;
}

/** Computes one operation on host values. */
export function evaluateNode(
  op: Op,
  inputs: readonly HostValue[],
  attrs: Attributes,
  outputs: readonly { readonly shape: readonly number[]; readonly dtype: GraphDType }[],
  precision: Precision = 'f32',
): HostValue[] {
  const filled = outputs.map(({ shape, dtype }) => ({ shape, dtype, data: allocate(dtype, sizeOf(shape), precision) }));
  EVALUATORS[op](inputs, filled, attrs);
  return filled;
}

/** An input or constant in the arrays of the interpreter. */
function hold(value: Value, data: NumericArray, precision: Precision): HostValue {
  const held = allocate(value.dtype, sizeOf(value.shape), precision);
  if (data.length === 1) held.fill(data[0]);
  else held.set(data);
  return { shape: value.shape, dtype: value.dtype, data: held };
}

/** The arrays for one role, checked against the graph's inputs. Float64Array stands for f32 when computing in double. */
function checkInputs(
  role: 'state' | 'batch',
  inputs: readonly Value[],
  arrays: Readonly<NumericArrays>,
  precision: Precision,
): void {
  const specs: Record<string, TensorSpec> = {};
  for (const v of inputs) if (v.role === role) specs[v.name] = { shape: v.shape, dtype: v.boundary ?? v.dtype };
  const seen: HostArrays = {};
  for (const [name, data] of Object.entries(arrays)) {
    // Anything else that is no HostArray is refused by checkArrays.
    seen[name] = precision === 'f64' && data instanceof Float64Array ? Float32Array.from(data) : (data as HostArray);
  }
  checkArrays(`compile.interpret ${role}`, seen, specs);
}

/**
 * Runs a graph in plain JavaScript: slow, simple, and the meaning of every operation. The arrays handed in are left
 * alone.
 *
 * @throws SslError `SHAPE_MISMATCH` when the arrays do not fit the graph's inputs, `BAD_DATA` for indices out of range
 */
export function interpret(
  graph: Graph,
  state: Readonly<HostArrays>,
  batch: Readonly<HostArrays>,
  options?: { readonly precision?: 'f32' },
): Interpreted<HostArrays>;
export function interpret(
  graph: Graph,
  state: Readonly<NumericArrays>,
  batch: Readonly<NumericArrays>,
  options: InterpretOptions,
): Interpreted<NumericArrays>;
export function interpret(
  graph: Graph,
  state: Readonly<NumericArrays>,
  batch: Readonly<NumericArrays>,
  { precision = 'f32' }: InterpretOptions = {},
): Interpreted<NumericArrays> {
  const inputs = graph.inputs.map((id) => graph.values[id]);
  checkInputs('state', inputs, state, precision);
  checkInputs('batch', inputs, batch, precision);

  const held = new Map<number, HostValue>();
  for (const v of graph.values) if (v.data !== undefined) held.set(v.id, hold(v, v.data, precision));
  for (const v of inputs) held.set(v.id, hold(v, (v.role === 'state' ? state : batch)[v.name], precision));
  const get = (id: number): HostValue => {
    const value = held.get(id);
    if (value !== undefined) return value;
    throw new SslError('BAD_OPTION', {
      where: 'compile.interpret',
      expected: 'values defined before they are used',
      got: `%${id}`,
      fix: 'run validateGraph on the graph',
    });
  };

  const dying = lastUses(graph);
  graph.nodes.forEach((node, i) => {
    const specs = node.outputs.map((id) => graph.values[id]);
    const outputs = evaluateNode(node.op, node.inputs.map(get), node.attrs, specs, precision);
    node.outputs.forEach((id, k) => held.set(id, outputs[k]));
    for (const id of dying[i]) if (graph.values[id].role === 'intermediate') held.delete(id);
  });

  const newState: NumericArrays = {};
  const metrics: NumericArrays = {};
  for (const v of inputs) if (v.role === 'state') newState[v.name] = state[v.name].slice();
  for (const { kind, name, value } of graph.results) {
    const data = get(value).data.slice();
    if (kind === 'metric') metrics[name] = data;
    else newState[name] = atBoundary(inputs, name, data);
  }
  return { state: newState, metrics };
}

/** A new state tensor in the array kind of the state input (they differ for u8). */
function atBoundary(inputs: readonly Value[], name: string, data: NumericArray): NumericArray {
  const input = inputs.find((v) => v.role === 'state' && v.name === name);
  if (input?.boundary !== 'u8') return data;
  const bytes = hostArray({ shape: input.shape, dtype: 'u8' });
  bytes.set(data);
  return bytes;
}
