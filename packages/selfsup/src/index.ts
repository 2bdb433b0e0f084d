export { buildProgram, main } from './cli.js';
export { chooseEngine, type EngineChoice } from './engines.js';
export { EXIT, exitCodeOf } from './terminal/exit-codes.js';
