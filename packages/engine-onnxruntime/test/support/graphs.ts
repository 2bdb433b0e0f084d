import { GraphBuilder, type Attribute, type Engine, type Graph, type GraphDType, type Op } from '@selfsup/compile';
import { sizeOf, type HostArray, type HostArrays } from '@selfsup/core';
import { interpret } from '../../../compile/src/interpret/interpret.js';

/** An array going into a graph. */
export interface Operand {
  readonly shape: readonly number[];
  readonly dtype: GraphDType;
  readonly data: HostArray;
}

/** An output's shape and type. */
export type Out = readonly [shape: readonly number[], dtype?: GraphDType];

export const f32 = (shape: readonly number[], data: ArrayLike<number>): Operand => ({
  shape,
  dtype: 'f32',
  data: Float32Array.from(data),
});
export const i32 = (shape: readonly number[], data: ArrayLike<number>): Operand => ({
  shape,
  dtype: 'i32',
  data: Int32Array.from(data),
});
export const bool = (shape: readonly number[], data: ArrayLike<number>): Operand => ({
  shape,
  dtype: 'bool',
  data: Uint8Array.from(data),
});

/** Numbers that look random and are the same every time, in [low, high). */
export function wave(shape: readonly number[], low = -1, high = 1, seed = 1): Operand {
  const data = Float32Array.from({ length: sizeOf(shape) }, (_, i) => {
    const x = Math.sin((i + 1) * 12.9898 * seed + seed) * 43758.5453;
    return low + (high - low) * (x - Math.floor(x));
  });
  return { shape, dtype: 'f32', data };
}

/** One operation from batch inputs to metrics `y0`, `y1`, ... */
export function oneNode(
  op: Op,
  inputs: readonly Operand[],
  outputs: readonly Out[],
  attrs: Readonly<Record<string, Attribute>> = {},
): { graph: Graph; batch: HostArrays } {
  const b = new GraphBuilder();
  const ids = inputs.map(({ shape, dtype }, i) => b.input('batch', `x${i}`, { shape, dtype }));
  const results = b.node(
    op,
    ids,
    attrs,
    outputs.map(([shape, dtype = 'f32']) => ({ shape, dtype })),
  );
  results.forEach((id, i) => b.result('metric', `y${i}`, id));
  return { graph: b.build(op), batch: Object.fromEntries(inputs.map((x, i) => [`x${i}`, x.data])) };
}

/** Runs a stateless graph once. */
export async function runOnce(engine: Engine, graph: Graph, batch: HostArrays): Promise<HostArrays> {
  const executable = await engine.compile(graph);
  try {
    return await executable.run(batch);
  } finally {
    await executable.dispose();
    await executable.store.dispose();
  }
}

/** The same in plain JavaScript with doubles. */
export function reference(graph: Graph, batch: HostArrays): Record<string, ArrayLike<number>> {
  return interpret(graph, {}, batch, { precision: 'f64' }).metrics;
}
