import { pickNamed, sizeOf, SslError } from '@selfsup/core';
import type { Graph, ValueId } from '../graph/graph.js';

/**
 * The value of the metric that decides whether a step's new state is kept (`CompileOptions.commitIf`): not when it is
 * false, 0 or NaN.
 *
 * @param where - the caller, for errors
 * @throws SslError `UNKNOWN_NAME` when no metric has that name, `SHAPE_MISMATCH` when it is not one bool or f32
 */
export function commitFlag(where: string, graph: Graph, commitIf: string): ValueId {
  const metrics = Object.fromEntries(graph.results.filter((r) => r.kind === 'metric').map((r) => [r.name, r.value]));
  const id = pickNamed(where, 'commitIf metric', commitIf, metrics);
  const { shape, dtype } = graph.values[id];
  if (sizeOf(shape) === 1 && dtype !== 'i32') return id;
  throw new SslError('SHAPE_MISMATCH', {
    where,
    expected: `commitIf metric "${commitIf}" of one element, bool or f32`,
    got: `${dtype} [${shape.join(', ')}]`,
    fix: 'reduce it to one flag',
    details: { commitIf, shape: [...shape] },
  });
}
