import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { peakMemoryBytes } from './memory.js';
import type { WorkerCommand } from './worker.js';

/** How a program ran. */
export interface CommandRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Wall time from start to end. */
  readonly seconds: number;
  /** Most memory it held, looked at every 10 ms; undefined without /proc. */
  readonly peakMemoryBytes: number | undefined;
}

/** Runs a program to its end and watches its memory. @throws when it cannot be started */
export async function runCommand(command: WorkerCommand): Promise<CommandRun> {
  const start = performance.now();
  const child = spawn(command.program, command.args ?? [], {
    cwd: command.cwd,
    env: { ...process.env, ...command.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  let peak: number | undefined;
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const watch = setInterval(() => {
    if (child.pid !== undefined) peak = peakMemoryBytes(child.pid) ?? peak;
  }, 10);
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, stdout, stderr, seconds: (performance.now() - start) / 1000, peakMemoryBytes: peak };
  } finally {
    clearInterval(watch);
  }
}
