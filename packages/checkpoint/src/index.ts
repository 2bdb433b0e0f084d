export { type SavedCheckpoint } from './checkpoint-folders.js';
export { normalizeCheckpointNames, type NormalizedNames, type NormalizeOptions } from './checkpoint-names.js';
export { exportBackbone, type ExportBackboneOptions } from './export-backbone.js';
export { readJsonLines, type JsonLines, type JsonRecord } from './json-lines.js';
export { loadCheckpoint, type LoadedCheckpoint } from './load-checkpoint.js';
export { isRunHeld } from './lock.js';
export { CHECKPOINT_FORMAT, type Manifest } from './manifest.js';
export { compareParameters, selectParameters, type CompareOptions } from './parameters.js';
export {
  DEFAULT_KEEP_LAST,
  openRun,
  readBadFiles,
  readMetrics,
  type OpenRunOptions,
  type Run,
  type SaveOptions,
} from './run.js';
export { openSafetensors, readSafetensors, type SafetensorsContent, type SafetensorsFile } from './safetensors.js';
export {
  toHostTensor,
  type FileDType,
  type StoredArray,
  type StoredDType,
  type StoredTensor,
} from './stored-tensors.js';
export {
  encodeSafetensors,
  writeSafetensors,
  type DeferredTensor,
  type TensorsInMemory,
  type WritableTensors,
  type WrittenFile,
} from './write-safetensors.js';
