import type { Attribute, Op } from '@selfsup/compile';
import { SslError } from '@selfsup/core';
import type { FunctionWriter, Tensor, TensorType } from './writer.js';

/** A node of the graph with its inputs as they stand in the program. */
export interface NodeView {
  readonly op: Op;
  readonly attrs: Readonly<Record<string, Attribute>>;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly TensorType[];
}

/** Writes one operation; returns its outputs. */
export type EmitOperation = (w: FunctionWriter, node: NodeView) => readonly Tensor[];

/** An operation the engine cannot express. */
export function unsupported(node: NodeView, expected: string, got: string): SslError {
  return new SslError('UNSUPPORTED', {
    where: `engine-xla.emit ${node.op}`,
    expected,
    got,
    fix: 'use another engine for this step (tfjs runs everything) or rewrite it without this operation',
    details: { op: node.op },
  });
}
