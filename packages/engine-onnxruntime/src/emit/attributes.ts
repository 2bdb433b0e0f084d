import { SslError } from '@selfsup/core';
import type { NodeView } from './emitter.js';

function wrong(node: NodeView, name: string, expected: string): SslError {
  return new SslError('ENGINE_FAILED', {
    where: `engine-onnxruntime.emit ${node.op}`,
    expected: `attribute ${name}: ${expected}`,
    got: String(node.attrs[name]),
    fix: 'run validateGraph on graphs that were not traced',
  });
}

export function numberOf(node: NodeView, name: string): number {
  const value = node.attrs[name];
  if (typeof value !== 'number') throw wrong(node, name, 'a number');
  return value;
}

export function numbersOf(node: NodeView, name: string): readonly number[] {
  const value = node.attrs[name];
  if (typeof value !== 'object') throw wrong(node, name, 'a list of numbers');
  return value;
}

export function wordOf(node: NodeView, name: string): string {
  const value = node.attrs[name];
  if (typeof value !== 'string') throw wrong(node, name, 'a word');
  return value;
}

/** A flag; false when it is not given. */
export function flagOf(node: NodeView, name: string): boolean {
  const value = node.attrs[name] ?? false;
  if (typeof value !== 'boolean') throw wrong(node, name, 'true or false');
  return value;
}
