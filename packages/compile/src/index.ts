export type { CompileOptions, DeviceInfo, Engine, Executable, StateStore } from './engine/engine.js';
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
