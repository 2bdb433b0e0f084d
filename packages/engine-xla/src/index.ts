export { compileAhead, type AheadOptions, type AheadReport } from './compile-ahead.js';
export { xlaEngine, type XlaEngine, type XlaOptions } from './engine.js';
export { emitStableHlo, type EmitOptions, type ProgramPort, type StableHloProgram } from './emit/program.js';
export type { XlaExecutable } from './executable.js';
export { GPU_TARGETS, topologyOptions, WITHOUT_GPU, type GpuTarget } from './gpu-target.js';
export type { OptionOverride } from './pjrt/compile-options.js';
export type { NamedValue, NamedValues } from './pjrt/named-values.js';
export type { ApiVersion, LiveCounts } from './pjrt/plugin.js';
export type { ProgramMemory } from './pjrt/program.js';
