import type { Graph, Node, Value, ValueId } from '@selfsup/compile';
import { sizeOf } from '@selfsup/core';
import { Emitter } from './emitter.js';
import { emitNodes, FileBuilder, type FileParts, type FileResult, type OnnxFile, type Range } from './file.js';

/** Nodes that work on large arrays of one size, element by element, and touch nothing else but scalars. */
interface Lane {
  readonly nodes: Node[];
  readonly values: Set<ValueId>;
  readonly size: number;
}

/** Sets that grow together. */
class Groups {
  readonly #parent = new Map<ValueId, ValueId>();

  find(id: ValueId): ValueId {
    const parent = this.#parent.get(id) ?? id;
    if (parent === id) return id;
    const root = this.find(parent);
    this.#parent.set(id, root);
    return root;
  }

  join(a: ValueId, b: ValueId): void {
    this.#parent.set(this.find(a), this.find(b));
  }
}

const isLarge = (value: Value): boolean => sizeOf(value.shape) > 1;

/** A value that can be read piece by piece: not bytes to be converted, not a constant with many numbers. */
const isPlain = (value: Value): boolean =>
  (value.boundary ?? value.dtype) === value.dtype && (value.data === undefined || value.data.length === 1);

/** Finds the lanes of at least `smallest` elements; everything else is left over. */
function findLanes(graph: Graph, { nodes }: FileParts, smallest: number): Lane[] {
  const groups = new Groups();
  const largeOf = (node: Node): Value[] =>
    [...node.inputs, ...node.outputs].map((id) => graph.values[id]).filter(isLarge);
  for (const node of nodes) {
    const [first, ...others] = largeOf(node).filter((v) => v.data === undefined);
    for (const other of others) groups.join(first.id, other.id);
  }
  const lanes = new Map<ValueId, Lane & { uniform: boolean }>();
  for (const node of nodes) {
    const large = largeOf(node);
    const varying = large.find((v) => v.data === undefined);
    if (varying === undefined) continue;
    const root = groups.find(varying.id);
    const size = sizeOf(varying.shape);
    const lane = lanes.get(root) ?? { nodes: [], values: new Set<ValueId>(), size, uniform: true };
    lane.nodes.push(node);
    for (const v of large) lane.values.add(v.id);
    lane.uniform &&= large.every((v) => sizeOf(v.shape) === lane.size && isPlain(v));
    lanes.set(root, lane);
  }
  return [...lanes.values()].filter((lane) => lane.uniform && lane.size >= smallest);
}

/** The graph as one piece of a lane sees it: large values are lists of as many elements as the piece has. */
function pieceOf(graph: Graph, lane: Lane, length: number): Graph {
  const values = graph.values.slice();
  for (const id of lane.values) values[id] = { ...values[id], shape: [length] };
  return { ...graph, values };
}

/**
 * Writes the update of the state. Large arrays are worked on in pieces that stay in the cache, all operations of a
 * piece before the next piece: an optimizer reads and writes every parameter a dozen times otherwise, and memory is
 * what it waits for.
 */
export function emitUpdate(graph: Graph, parts: FileParts, pieceElements: number): OnnxFile {
  const file = new FileBuilder(parts.name);
  const lanes = findLanes(graph, parts, 2 * pieceElements);
  const inLane = new Set(lanes.flatMap((lane) => lane.nodes));
  const ownedByLane = new Set(lanes.flatMap((lane) => [...lane.values]));
  const rest = parts.nodes.filter((node) => !inLane.has(node));
  const readByRest = new Set(rest.flatMap((node) => node.inputs));
  const isOfLane = (r: FileResult): boolean =>
    ownedByLane.has(r.value) && lanes.some((lane) => lane.nodes.some((node) => node.outputs.includes(r.value)));
  const restResults = parts.results.filter((r) => !isOfLane(r));
  for (const { value } of restResults) readByRest.add(value);

  const whole = new Emitter(
    file.model,
    graph,
    rest,
    restResults.map((r) => r.value),
  );
  for (const id of parts.inputs) if (!ownedByLane.has(id) || readByRest.has(id)) file.input(whole, id);
  emitNodes(whole, rest);
  for (const result of restResults) file.output(whole, result);
  for (const lane of lanes) {
    const inputs = parts.inputs.filter((id) => lane.values.has(id));
    const results = parts.results.filter((r) => isOfLane(r) && lane.values.has(r.value));
    for (const range of piecesOf(lane.size, pieceElements)) {
      const piece = pieceOf(graph, lane, range.length);
      const e = new Emitter(
        file.model,
        piece,
        lane.nodes,
        results.map((r) => r.value),
      );
      for (const id of new Set(lane.nodes.flatMap((node) => node.inputs))) {
        if (lane.values.has(id)) continue;
        const { name, shape } = whole.operand(id);
        e.define(graph.values[id], shape.length > 1 ? whole.reshape(name, []) : name, shape.length === 1 ? [1] : []);
      }
      for (const id of inputs) file.input(e, id, range);
      emitNodes(e, lane.nodes);
      for (const result of results) file.output(e, result, range);
    }
  }
  return file.build();
}

/** Pieces of about equal length, whole cache lines each but the last. */
function piecesOf(size: number, pieceElements: number): Range[] {
  const count = Math.ceil(size / pieceElements);
  const length = Math.ceil(size / count / 16) * 16;
  return Array.from({ length: Math.ceil(size / length) }, (_, i) => ({
    start: i * length,
    length: Math.min(length, size - i * length),
  }));
}
