export { runCommand, type CommandRun } from './command.js';
export { peakMemoryBytes, residentBytes } from './memory.js';
export { appendResult, circumstances, type Cell } from './results.js';
export { interleave, spreadOf, timed, type Round, type Spread } from './rounds.js';
export { startWorker, type BenchWorker, type WorkerCommand } from './worker.js';
