export { main } from './cli.js';
export { buildProgram } from './command-line/program.js';
export { chooseEngine, type EngineChoice } from './engines.js';
export { EXIT, exitCodeOf } from './terminal/exit-codes.js';
