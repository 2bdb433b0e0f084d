import { formatShape } from '@selfsup/core';
import type { Attribute, Graph, Node, Value, ValueId } from './graph.js';

/** Elements of a constant that are shown; of a longer one, this many and the count. */
const SHOWN_ELEMENTS = 6;

const ids = (list: readonly ValueId[]): string => list.map((id) => `%${id}`).join(', ');
const typeOf = (value: Value): string => `${value.dtype}${formatShape(value.shape)}`;

/** At most six digits, and no more than needed. */
function formatNumber(x: number): string {
  return Object.is(x, -0) ? '-0' : String(Number(x.toPrecision(6)));
}

function formatInput(value: Value): string {
  const { boundary = value.dtype } = value;
  const seenAs = boundary === value.dtype ? '' : ` seen as ${value.dtype}`;
  return `${value.role} ${value.name} : ${boundary}${formatShape(value.shape)}${seenAs}`;
}

function formatConstant(value: Value): string {
  const data = [...(value.data?.subarray(0, SHOWN_ELEMENTS) ?? [])].map(formatNumber);
  const length = value.data?.length ?? 0;
  const text =
    length === 1 ? data[0] : `[${data.join(', ')}${length > SHOWN_ELEMENTS ? `, ... ${length} in all` : ''}]`;
  return `constant ${text} : ${typeOf(value)}`;
}

/** `{transposeB, epsilon=1e-6}`: attributes that are true by name, false ones left out, others with their value. */
function formatAttributes(attrs: Readonly<Record<string, Attribute>>): string {
  const shown = Object.entries(attrs).flatMap(([name, attr]) => {
    if (typeof attr === 'boolean') return attr ? [name] : [];
    if (typeof attr === 'number') return [`${name}=${formatNumber(attr)}`];
    return [`${name}=${typeof attr === 'string' ? attr : formatShape(attr)}`];
  });
  return shown.length === 0 ? '' : ` {${shown.join(', ')}}`;
}

function formatNode(graph: Graph, node: Node): string {
  const outputs = node.outputs.map((id) => graph.values[id]);
  const names = outputs.map((v) => v.name).filter((name) => name !== '');
  const comment = names.length === 0 ? '' : `  # ${names.join(', ')}`;
  const types = outputs.map(typeOf).join(', ');
  return `${node.op}(${ids(node.inputs)})${formatAttributes(node.attrs)} : ${types}${comment}`;
}

/**
 * A graph as text: its inputs, its constants (shortened), one line a node, its results.
 *
 * @example
 * // graph logits
 * //   %0 = state w : f32[10, 192]
 * //   %1 = batch x : f32[8, 192]
 * //   %2 = dot_general(%1, %0) {transposeB} : f32[8, 10]
 * //   metric logits = %2
 */
export function printGraph(graph: Graph): string {
  const constants = graph.values.filter((v) => v.role === 'constant');
  return [
    `graph ${graph.name}`,
    ...graph.inputs.map((id) => `  %${id} = ${formatInput(graph.values[id])}`),
    ...constants.map((v) => `  %${v.id} = ${formatConstant(v)}`),
    ...graph.nodes.map((node) => `  ${ids(node.outputs)} = ${formatNode(graph, node)}`),
    ...graph.results.map(({ kind, name, value }) => `  ${kind} ${name} = %${value}`),
    '',
  ].join('\n');
}
