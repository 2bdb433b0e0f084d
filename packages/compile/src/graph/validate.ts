import { SslError, formatShape, sizeOf } from '@selfsup/core';
import { inferShapes } from './infer-shapes.js';
import type { Attribute, Graph, Node, Value } from './graph.js';
import { OP_TABLE, type AttributeKind } from './op-table.js';

function isKind(value: Attribute | undefined, kind: AttributeKind): boolean {
  if (kind === 'numbers') return Array.isArray(value) && value.every((x) => typeof x === 'number');
  if (typeof kind !== 'string') return typeof value === 'string' && kind.includes(value);
  return typeof value === kind;
}

/**
 * Checks that a graph is sound: ids in range, every value defined once and before its use, operations with the number
 * of inputs and outputs and the attributes of their table row, shapes that follow from the inputs, constants of the
 * right length, results that name a value (and for `state:` an input of equal shape).
 *
 * @throws SslError `BAD_OPTION` (structure), `SHAPE_MISMATCH` (shapes, element types)
 */
export function validateGraph(graph: Graph): void {
  const where = `compile.validateGraph(${graph.name})`;
  const fail = (code: 'BAD_OPTION' | 'SHAPE_MISMATCH', expected: string, got: string): never => {
    throw new SslError(code, { where, expected, got, fix: 'build the graph with GraphBuilder from consistent values' });
  };
  const value = (id: number, by: string): Value =>
    graph.values[id] ?? fail('BAD_OPTION', `ids below ${graph.values.length}`, `%${id} in ${by}`);

  const defined = new Set<number>();
  const define = (id: number, by: string): void => {
    if (defined.has(id)) fail('BAD_OPTION', 'every value defined once', `%${id} defined again by ${by}`);
    defined.add(id);
  };
  graph.values.forEach((v, i) => {
    if (v.id !== i) fail('BAD_OPTION', 'values listed by id', `%${v.id} at place ${i}`);
    if (v.role !== 'constant') return;
    define(i, 'itself');
    const size = sizeOf(v.shape);
    if (v.data === undefined || (v.data.length !== size && v.data.length !== 1)) {
      fail('SHAPE_MISMATCH', `constant %${i} with ${size} elements or one`, String(v.data?.length ?? 'no data'));
    }
  });
  const inputNames = new Map<string, Value>();
  for (const id of graph.inputs) {
    const v = value(id, 'inputs');
    define(id, 'inputs');
    const name = `${v.role}:${v.name}`;
    if (v.role !== 'state' && v.role !== 'batch') fail('BAD_OPTION', 'inputs of role state or batch', name);
    if (inputNames.has(name)) fail('BAD_OPTION', 'inputs of different names', `${name} twice`);
    inputNames.set(name, v);
  }
  for (const node of graph.nodes) {
    const by = describe(node);
    for (const id of node.inputs) {
      value(id, by);
      if (!defined.has(id)) fail('BAD_OPTION', 'values defined before they are used', `%${id} in ${by}`);
    }
    for (const id of node.outputs) {
      if (value(id, by).role !== 'intermediate') fail('BAD_OPTION', 'node outputs of role intermediate', by);
      define(id, by);
    }
    const row = OP_TABLE[node.op];
    if (row === undefined) fail('BAD_OPTION', 'an operation of PRIMITIVES or COMPOSITES', by);
    const wrongCount = row.inputs === 'any' ? node.inputs.length === 0 : node.inputs.length !== row.inputs;
    if (wrongCount) fail('BAD_OPTION', `${row.inputs} inputs`, by);
    if (node.outputs.length !== row.outputs) fail('BAD_OPTION', `${row.outputs} outputs`, by);
    for (const [name, kind] of Object.entries({ ...row.attributes, ...row.optional })) {
      const leftOut = name in row.optional && node.attrs[name] === undefined;
      if (!leftOut && !isKind(node.attrs[name], kind)) {
        const kindText = typeof kind === 'string' ? kind : kind.join(' | ');
        fail('BAD_OPTION', `attribute ${name}: ${kindText}`, `${String(node.attrs[name])} in ${by}`);
      }
    }
    checkSpecs(graph, node, (expected, got) => fail('SHAPE_MISMATCH', expected, got));
  }
  const resultNames = new Set<string>();
  for (const { kind, name, value: id } of graph.results) {
    const label = `${kind}:${name}`;
    const v = value(id, label);
    if (!defined.has(id)) fail('BAD_OPTION', 'results that are defined', label);
    if (resultNames.has(label)) fail('BAD_OPTION', 'results of different names', `${label} twice`);
    resultNames.add(label);
    if (kind !== 'state') continue;
    const old = inputNames.get(`state:${name}`) ?? fail('BAD_OPTION', 'state results named as a state input', label);
    if (old.dtype !== v.dtype || formatShape(old.shape) !== formatShape(v.shape)) {
      fail('SHAPE_MISMATCH', `${label} ${old.dtype} ${formatShape(old.shape)}`, `${v.dtype} ${formatShape(v.shape)}`);
    }
  }
}

function describe(node: Node): string {
  return `${node.op}(${node.inputs.map((i) => `%${i}`).join(', ')}) -> ${node.outputs.map((i) => `%${i}`).join(', ')}`;
}

/** Shapes and element types of one node. */
function checkSpecs(graph: Graph, node: Node, fail: (expected: string, got: string) => never): void {
  const inputs = node.inputs.map((i) => graph.values[i]);
  const outputs = node.outputs.map((i) => graph.values[i]);
  const by = `${describe(node)} of ${inputs.map((v) => `${v.dtype}${formatShape(v.shape)}`).join(', ')}`;
  const shapes = inferShapes(
    node,
    inputs.map((v) => v.shape),
    outputs.map((v) => v.shape),
  );
  if (typeof shapes === 'string') fail(shapes, by);
  outputs.forEach((v, i) => {
    if (formatShape(v.shape) !== formatShape(shapes[i])) {
      fail(`output ${formatShape(shapes[i])}`, `${formatShape(v.shape)} in ${by}`);
    }
  });
  const wrong = OP_TABLE[node.op].types(
    inputs.map((v) => v.dtype),
    outputs.map((v) => v.dtype),
  );
  if (wrong !== undefined) fail(wrong, `${outputs.map((v) => v.dtype).join(', ')} from ${by}`);
}
