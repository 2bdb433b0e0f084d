export { onnxruntimeEngine, type OnnxruntimeEngine, type OnnxruntimeOptions } from './engine.js';
export { graphToOnnx, type FilePort, type OnnxFile } from './emit/file.js';
export type { Element } from './element.js';
export type { ApiChoice } from './runtime/choose.js';
