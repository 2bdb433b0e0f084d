import type { Graph, Node, Op, Value, ValueId } from '@selfsup/compile';
import { SslError } from '@selfsup/core';
import { ELEMENT, type Element } from '../element.js';
import { ATTENTION } from './attention.js';
import { ELEMENTWISE } from './elementwise.js';
import { Emitter, type EmitOperation } from './emitter.js';
import { INDEXING } from './indexing.js';
import { OnnxModel, type OnnxPort } from './model.js';
import { NORMALIZATION } from './normalization.js';
import { PRODUCT } from './product.js';
import { REDUCTION } from './reduction.js';
import { inExecutionOrder } from './schedule.js';
import { SHAPE } from './shape.js';
import { TRIANGULAR } from './triangular.js';
import { WINDOW } from './window.js';

const OPERATIONS: Readonly<Record<Op, EmitOperation>> = {
  ...ELEMENTWISE,
  ...SHAPE,
  ...PRODUCT,
  ...REDUCTION,
  ...INDEXING,
  ...WINDOW,
  ...NORMALIZATION,
  ...ATTENTION,
  ...TRIANGULAR,
};

/** Consecutive elements of a value. */
export interface Range {
  readonly start: number;
  readonly length: number;
}

/** A value, or some of its elements as a list, at the border of a file; `dtype` is how it is stored there. */
export interface FilePort extends OnnxPort {
  readonly value: ValueId;
  /** Of an output: the key of its {@link FileResult}. */
  readonly key?: string;
  readonly range?: Range;
}

/** An ONNX file and what its inputs and outputs stand for. */
export interface OnnxFile {
  readonly bytes: Uint8Array;
  readonly inputs: readonly FilePort[];
  readonly outputs: readonly FilePort[];
  /** Number of ONNX nodes. */
  readonly nodes: number;
}

/** A value leaving a file, stored as `element`. */
export interface FileResult {
  /** Tells results apart, also those of the same value. */
  readonly key: string;
  readonly value: ValueId;
  readonly element: Element;
}

/** Part of a graph to write into one file: nodes in order, values that come in, values that leave. */
export interface FileParts {
  readonly name: string;
  readonly nodes: readonly Node[];
  readonly inputs: readonly ValueId[];
  readonly results: readonly FileResult[];
}

export const elementOf = (value: Value): Element => value.boundary ?? value.dtype;

/** Emits nodes into a model; every output of every node is defined (or deferred) afterwards. */
export function emitNodes(e: Emitter, nodes: readonly Node[]): void {
  for (const node of nodes) {
    // A reader may have been folded into the operation before it.
    if (node.outputs.every((id) => e.isDefined(id))) continue;
    const emit: EmitOperation | undefined = OPERATIONS[node.op];
    if (emit === undefined) {
      throw new SslError('UNSUPPORTED', {
        where: 'engine-onnxruntime.emit',
        expected: 'an operation of the graph',
        got: node.op,
        fix: 'use a version of this engine that belongs to @selfsup/compile',
        details: { op: node.op },
      });
    }
    emit(e, {
      op: node.op,
      attrs: node.attrs,
      inputs: node.inputs.map((id) => e.value(id)),
      outputs: node.outputs.map((id) => e.value(id)),
    });
  }
}

/** Borders of a file under construction. */
export class FileBuilder {
  readonly model: OnnxModel;
  readonly #inputs: FilePort[] = [];
  readonly #outputs: FilePort[] = [];

  constructor(name: string) {
    this.model = new OnnxModel(name);
  }

  /** Declares a value that comes in. */
  input(e: Emitter, id: ValueId, range?: Range): void {
    const value = e.value(id);
    const name = `in.${id}${range === undefined ? '' : `.${range.start}`}`;
    const port = { value: id, name, dtype: elementOf(value), shape: value.shape };
    this.#inputs.push(range === undefined ? port : { ...port, range });
    if (port.dtype === value.dtype) e.define(value, name);
    else e.defineBytes(value, name);
  }

  /** Declares a value that leaves. */
  output(e: Emitter, { key, value: id, element }: FileResult, range?: Range): void {
    const value = e.value(id);
    const bytes = element === 'u8' ? e.bytes(id) : undefined;
    const found = bytes ?? (element === value.dtype ? e.full(id) : e.cast(e.full(id), ELEMENT[element]));
    // An output has to be computed by a node, and by one of its own.
    const own = this.model.isComputed(found) && !this.#outputs.some((o) => o.name === found);
    const name = own ? found : e.op('Identity', [found]);
    const port = { key, value: id, name, dtype: element, shape: value.shape };
    this.#outputs.push(range === undefined ? port : { ...port, range });
  }

  build(): OnnxFile {
    const { model } = this;
    model.nodes = inExecutionOrder(
      model.nodes,
      this.#outputs.map((o) => o.name),
    );
    const bytes = model.encode(this.#inputs, this.#outputs);
    return { bytes, inputs: this.#inputs, outputs: this.#outputs, nodes: model.nodes.length };
  }
}

/** Writes part of a graph as an ONNX file. @throws SslError `UNSUPPORTED` naming the operation */
export function emitFile(graph: Graph, parts: FileParts): OnnxFile {
  const file = new FileBuilder(parts.name);
  const results = parts.results.map((r) => r.value);
  const e = new Emitter(file.model, graph, parts.nodes, results);
  for (const id of parts.inputs) file.input(e, id);
  emitNodes(e, parts.nodes);
  for (const result of parts.results) file.output(e, result);
  return file.build();
}

/** The whole graph as one ONNX file: state and batch in, new state and metrics out, in the order of the graph. */
export function graphToOnnx(graph: Graph): OnnxFile {
  return emitFile(graph, {
    name: graph.name,
    nodes: graph.nodes,
    inputs: graph.inputs,
    results: graph.results.map((r) => ({
      key: `${r.kind}:${r.name}`,
      value: r.value,
      element: resultElement(graph, r),
    })),
  });
}

/** How a result is stored: a new state as its state input is, a metric as it is. */
export function resultElement(graph: Graph, result: Graph['results'][number]): Element {
  const input =
    result.kind === 'state'
      ? graph.inputs.map((id) => graph.values[id]).find((v) => v.role === 'state' && v.name === result.name)
      : undefined;
  return elementOf(input ?? graph.values[result.value]);
}
