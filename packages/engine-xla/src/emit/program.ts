import { commitFlag, type Graph } from '@selfsup/compile';
import type { DType } from '@selfsup/core';
import { Body } from './body.js';
import { batchSplit, meshText, shardingText, stateSplit } from './mesh.js';
import { quoted, typeText } from './writer.js';

/**
 * The version of StableHLO whose operations and attributes are used, and no later ones. 1.0.0 is the first that later
 * versions have to accept (for five years) and it has everything a graph needs; a plugin names the versions it takes
 * in its attributes `stablehlo_minimum_version` and `stablehlo_current_version`.
 */
export const STABLEHLO_VERSION = '1.0.0';

/** How a program is written. */
export interface EmitOptions {
  /** Number of devices of the one-dimensional mesh `batch`; 1 by default, then nothing is annotated. */
  readonly devices?: number;
  /** How state lies on the mesh: a copy on every device (default), or the larger tensors split over the devices. */
  readonly state?: 'replicated' | 'sharded';
  /** Hand the memory of state arguments to the state results. True by default. */
  readonly donate?: boolean;
  /**
   * Factors of matrix products that are marked as such (`precision: 'default'`) and of attention: float32 (default), or
   * rounded to bfloat16. Sums and all other operations are float32.
   */
  readonly precision?: 'f32' | 'bf16';
  /** Metric of one element, bool or f32: when it is false (0 or NaN) the state results are the old state. */
  readonly commitIf?: string;
}

/** An argument or a result of a program. */
export interface ProgramPort {
  /** Name of the state tensor, batch array or metric. */
  readonly name: string;
  /** `metric` for results only. */
  readonly role: 'state' | 'batch' | 'metric';
  /** Shape over all devices. */
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** Dimension that is split evenly over the devices; undefined when every device has all of it. */
  readonly splitAxis?: number;
}

/**
 * A graph as a StableHLO module: its function `main` takes `inputs` and returns `outputs`, in order. State that the
 * graph leaves as it is, is no output.
 */
export interface StableHloProgram {
  readonly text: string;
  readonly inputs: readonly ProgramPort[];
  readonly outputs: readonly ProgramPort[];
  readonly devices: number;
}

/**
 * Writes a graph as StableHLO text. The same graph and options give the same text.
 *
 * @throws SslError `UNSUPPORTED` naming the operation, `UNKNOWN_NAME` or `SHAPE_MISMATCH` for `commitIf`, `BAD_OPTION` for
 * a batch that the devices do not divide
 *
 * @example
 * const { text, inputs, outputs } = emitStableHlo(graph, { commitIf: 'finite' });
 */
export function emitStableHlo(graph: Graph, options: EmitOptions = {}): StableHloProgram {
  const { donate = true, devices = 1, state = 'replicated', precision = 'f32', commitIf } = options;
  const flag = commitIf === undefined ? undefined : commitFlag('engine-xla.compile', graph, commitIf);
  const splitOf = (
    role: ProgramPort['role'],
    name: string,
    shape: readonly number[],
  ): Pick<ProgramPort, 'splitAxis'> => {
    if (role === 'metric' || (role === 'state' && state === 'replicated')) return {};
    const splitAxis = role === 'state' ? stateSplit(shape, devices) : batchSplit(name, shape, devices);
    return splitAxis === undefined ? {} : { splitAxis };
  };
  const inputs = graph.inputs.map((id): ProgramPort => {
    const { role: given, name, shape, dtype, boundary = dtype } = graph.values[id];
    const role = given === 'state' ? 'state' : 'batch';
    return { name, role, shape, dtype: boundary, ...splitOf(role, name, shape) };
  });
  const body = new Body(
    graph,
    precision,
    (input) => inputs[input].role === 'state' && inputs[input].splitAxis !== undefined,
  );
  const returned = body.emit(flag);
  const outputs = returned.map(({ shape, dtype }, i): ProgramPort => {
    const { name, kind } = body.results[i];
    return { name, role: kind, shape, dtype, ...splitOf(kind, name, shape) };
  });
  const layoutOf = ({ shape, splitAxis }: ProgramPort): string[] =>
    devices > 1 ? [shardingText(shape.length, splitAxis)] : [];
  const parameters = inputs.map((port, i) => {
    const result = outputs.findIndex((out) => out.role === 'state' && port.role === 'state' && out.name === port.name);
    const donated = donate && result >= 0 ? [`tf.aliasing_output = ${result} : i32`] : [];
    return `%arg${i}: ${typeText(port)}${attributesText([...donated, ...layoutOf(port)])} loc(${quoted(`${port.role} ${port.name}`)})`;
  });
  const types = outputs.map(typeText).join(', ');
  const results = outputs.map((port) => `${typeText(port)}${attributesText(layoutOf(port))}`).join(', ');
  const text = [
    `module @${quoted(graph.name)} attributes {mhlo.num_partitions = ${devices} : i32, mhlo.num_replicas = 1 : i32} {`,
    ...(devices > 1 ? [meshText(devices)] : []),
    `func.func public @main(${parameters.join(', ')}) -> (${results}) {`,
    ...body.writer.lines,
    `return ${returned.map((tensor) => tensor.name).join(', ')} : ${types}`,
    '}',
    '}',
    '',
  ].join('\n');
  return { text, inputs, outputs, devices };
}

const attributesText = (attributes: readonly string[]): string =>
  attributes.length === 0 ? '' : ` {${attributes.join(', ')}}`;
