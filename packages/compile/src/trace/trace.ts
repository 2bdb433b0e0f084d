import * as tf from '@tensorflow/tfjs-core';
import { formatShape, sameShape, SslError, type Specs } from '@selfsup/core';
import { GraphBuilder } from '../graph/builder.js';
import type { Composite, Graph } from '../graph/graph.js';
import { optimizeGraph } from '../passes/index.js';
import { TRACE_BACKEND, TracingBackend, graphDType } from './backend.js';
import { GraphWriter, type KernelCall, type KernelRule, type Traced } from './kernel-context.js';
import { kernelRules } from './kernels/index.js';

/** Flat named tensors. */
export type NamedTensors = Record<string, tf.Tensor>;

/**
 * One pure training step. State names it leaves out keep their values; metrics are tensors of fixed shape.
 */
export type Step = (state: NamedTensors, batch: NamedTensors) => { state: NamedTensors; metrics: NamedTensors };

export interface TraceOptions {
  readonly state: Specs;
  readonly batch: Specs;
  /** Composites to record whole; everything else arrives as primitives. */
  readonly composites?: readonly Composite[];
  readonly name?: string;
}

let backend: TracingBackend | undefined;
let tracing = false;

function tracingBackend(): TracingBackend {
  if (backend === undefined) {
    const created = new TracingBackend();
    tf.registerBackend(TRACE_BACKEND, () => created, 0);
    backend = created;
  }
  return backend;
}

/** Gradients are registered by the `@tensorflow/tfjs` union only; without it a step fails deep inside tfjs. */
function requireGradients(): void {
  if (tf.getGradient('Sum') !== undefined) return;
  throw new SslError('BACKEND_MISSING', {
    where: 'compile.traceStep',
    expected: 'tfjs with its gradients registered',
    got: 'tfjs-core alone, which registers none in Node',
    fix: "import '@tensorflow/tfjs' or '@selfsup/compile/node' once before compiling",
  });
}

function isTensorInfo(value: unknown): value is tf.TensorInfo {
  return typeof value === 'object' && value !== null && 'dataId' in value;
}

const IDENTITY = 'Identity';

/** Registers the rules as kernels of the tracing backend; returns the undo. */
function installKernels(target: TracingBackend, rules: Map<string, KernelRule>): () => void {
  const writer = new GraphWriter(target);
  const traced = (info: tf.TensorInfo): Traced => ({
    id: target.graphValue(info),
    shape: info.shape,
    dtype: graphDType(info.dtype as tf.DataType),
  });
  for (const [kernelName, rule] of rules) {
    tf.registerKernel({
      kernelName,
      backendName: TRACE_BACKEND,
      kernelFunc: ({ inputs, attrs }) => {
        const named = inputs as Record<string, tf.TensorInfo>;
        const call: KernelCall = {
          in: (name) => traced(named[name]),
          has: (name) => isTensorInfo(named[name]),
          get list() {
            return Object.values(named).map(traced);
          },
          attrs: (attrs ?? {}) as Record<string, unknown>,
          known: (name) => target.knownData(named[name]),
          kernelName,
        };
        const out = rule(writer, call);
        const wrap = (t: Traced): tf.TensorInfo => target.info(t.id, t.shape, t.dtype);
        return Array.isArray(out) ? out.map(wrap) : wrap(out);
      },
    });
  }
  // A clone is the same data under another reference, as on every tfjs backend (which counts on it).
  tf.registerKernel({
    kernelName: IDENTITY,
    backendName: TRACE_BACKEND,
    kernelFunc: ({ inputs: { x } }) => {
      const info = x as tf.TensorInfo;
      target.incRef(info.dataId);
      return { dataId: info.dataId, shape: info.shape, dtype: info.dtype };
    },
  });
  return () => {
    tf.unregisterKernel(IDENTITY, TRACE_BACKEND);
    for (const kernelName of rules.keys()) tf.unregisterKernel(kernelName, TRACE_BACKEND);
  };
}

/** tfjs says "Cannot find registered kernel 'X'": say what that means here. */
function explain(error: unknown): unknown {
  const match = /kernel '([^']+)' (?:not registered )?for backend '?selfsup-trace/i.exec(String(error));
  if (match === null) return error;
  return new SslError('UNSUPPORTED', {
    where: 'compile.traceStep',
    expected: 'tfjs kernels with a compiled form',
    got: match[1],
    fix: 'write the step with other operations (docs/kernels.md lists what can be compiled)',
    details: { kernel: match[1] },
    cause: error,
  });
}

/**
 * Runs a step once on tensors without numbers and returns what it did as a graph.
 *
 * tfjs has one global engine: the function runs before this returns, and another trace cannot start inside it. The active
 * backend is restored at once, also after an error.
 *
 * @throws SslError `READ_WHILE_TRACING` when the step reads a value (the message names the line), `UNSUPPORTED` for a
 * kernel without a compiled form or a large captured tensor, `SHAPE_MISMATCH` when a state result changes its shape,
 * `UNKNOWN_NAME` for state results that were not in the specs
 */
export async function traceStep(step: Step, options: TraceOptions): Promise<Graph> {
  const target = tracingBackend();
  if (tracing) {
    throw new SslError('UNSUPPORTED', {
      where: 'compile.traceStep',
      expected: 'one trace at a time',
      got: 'a trace inside another one',
      fix: 'compile functions one after the other',
    });
  }
  const before = tf.getBackend() as string | undefined;
  const builder = new GraphBuilder();
  const uninstall = installKernels(target, kernelRules(options.composites ?? []));
  tracing = true;
  target.begin(builder);
  try {
    // Switches before its promise is returned. Nothing is awaited until the backend is back: whatever else the process
    // does with tfjs meanwhile, other traces among it, finds the backend it knows.
    void tf.setBackend(TRACE_BACKEND);
    requireGradients();
    tf.engine().startScope();
    try {
      const inputs = (role: 'state' | 'batch', specs: Specs): NamedTensors =>
        Object.fromEntries(
          Object.entries(specs).map(([name, spec]) => {
            const id = builder.input(role, name, spec);
            const info = target.info(id, spec.shape, spec.dtype === 'u8' ? 'i32' : spec.dtype);
            return [name, tf.engine().makeTensorFromTensorInfo(info)];
          }),
        );
      const result = step(inputs('state', options.state), inputs('batch', options.batch));
      recordResults(builder, target, result, options.state);
    } finally {
      tf.engine().endScope();
    }
  } catch (error) {
    throw explain(error);
  } finally {
    target.end();
    uninstall();
    tracing = false;
    // With no backend chosen yet tfjs picks its best one at the next use, as if there had been no trace.
    if (before) await tf.setBackend(before);
    else Object.assign(tf.engine(), { backendName: undefined, backendInstance: null });
  }
  return optimizeGraph(builder.build(options.name ?? 'step'));
}

function recordResults(builder: GraphBuilder, target: TracingBackend, result: ReturnType<Step>, state: Specs): void {
  for (const [name, tensor] of Object.entries(result.state)) {
    const spec = state[name];
    if (spec === undefined) {
      throw new SslError('UNKNOWN_NAME', {
        where: 'compile.traceStep',
        expected: 'state results under the names of the state specs',
        got: `"${name}"`,
        fix: 'add it to the state specs or return it as a metric',
      });
    }
    if (!sameShape(spec.shape, tensor.shape)) {
      throw new SslError('SHAPE_MISMATCH', {
        where: 'compile.traceStep',
        expected: `new state "${name}" of shape ${formatShape(spec.shape)}`,
        got: formatShape(tensor.shape),
        fix: 'a step must keep the shapes of its state',
      });
    }
    builder.result('state', name, target.graphValue(tensor));
  }
  for (const [name, tensor] of Object.entries(result.metrics))
    builder.result('metric', name, target.graphValue(tensor));
}
