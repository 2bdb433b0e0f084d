export { commitFlag } from './engine/commit-flag.js';
export type { CompileOptions, DeviceInfo, Engine, Executable, StateStore } from './engine/engine.js';
export {
  convolutionGeometry,
  flagOf,
  numberOf,
  numbersOf,
  windowGeometry,
  wordOf,
  type Attributes,
  type ConvolutionGeometry,
  type WindowGeometry,
} from './graph/attributes.js';
export {
  COMPOSITES,
  PRIMITIVES,
  type Attribute,
  type Composite,
  type Graph,
  type GraphDType,
  type Node,
  type Op,
  type Primitive,
  type Result,
  type Role,
  type Value,
  type ValueId,
} from './graph/graph.js';
export {
  compileFunction,
  compileStep,
  specsOf,
  type CompiledFunction,
  type CompiledStep,
  type CompileFunctionOptions,
  type CompileStepOptions,
} from './compile-step.js';
export { traceStep, type NamedTensors, type Step, type TraceOptions } from './trace/trace.js';
export { GraphBuilder, type OutputSpec } from './graph/builder.js';
export { validateGraph } from './graph/validate.js';
export { eliminateCommon, eliminateDead, optimizeGraph, rematerialize, simplify } from './passes/index.js';
export {
  estimateFlops,
  estimateGraph,
  estimatePeakBytes,
  type ByteEstimate,
  type FlopEstimate,
  type GraphEstimate,
} from './graph/estimate.js';
export { estimateTraffic } from './graph/traffic.js';
export { printGraph } from './graph/print.js';
export {
  evaluateNode,
  interpret,
  type Interpreted,
  type InterpretOptions,
  type NumericArrays,
} from './interpret/interpret.js';
export type { HostValue, NumericArray, Precision } from './interpret/host-value.js';
export { tfjsEngine, type TfjsEngineOptions } from './tfjs-engine/engine.js';
