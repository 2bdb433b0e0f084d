import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { peakMemoryBytes } from './memory.js';

/** How to start a competitor in a process of its own. */
export interface WorkerCommand {
  readonly program: string;
  readonly args?: readonly string[];
  readonly cwd?: string;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A process that answers every line it is sent with one line of JSON. */
export interface BenchWorker {
  /** Sends a line and gives the answer. @throws when the process ends instead, with what it wrote to stderr */
  ask(line: string): Promise<unknown>;
  /** See {@link peakMemoryBytes}. */
  peakMemoryBytes(): number | undefined;
  /** Closes its input and waits for its end. */
  stop(): Promise<void>;
}

/**
 * Starts a process that stays, so that rounds of several programs can be interleaved without their start-up. It reads
 * a line, works, and writes one line of JSON; lines that are not JSON are passed over.
 *
 * @example
 * const torch = startWorker({ program: 'python3', args: ['peers/step.py', '--stream'] });
 * const { seconds } = (await torch.ask('step')) as { seconds: number };
 */
export function startWorker(command: WorkerCommand): BenchWorker {
  const child = spawn(command.program, command.args ?? [], {
    cwd: command.cwd,
    env: { ...process.env, ...command.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const waiting: { resolve: (answer: unknown) => void; reject: (error: Error) => void }[] = [];
  let stderr = '';
  let ended: Error | undefined;
  const end = (reason: string): void => {
    ended ??= new Error(`bench-kit.startWorker: ${command.program} ${reason}\n${stderr.slice(-4000)}`);
    for (const { reject } of waiting.splice(0)) reject(ended);
  };
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin.on('error', () => {
    // The process has gone; 'close' says so to whoever waits.
  });
  child.on('error', (error) => end(error.message));
  child.on('close', (code) => end(`ended with code ${code}`));
  createInterface({ input: child.stdout }).on('line', (line) => {
    let answer: unknown;
    try {
      answer = JSON.parse(line);
    } catch {
      return;
    }
    waiting.shift()?.resolve(answer);
  });
  return {
    ask: (line) =>
      new Promise((resolve, reject) => {
        if (ended !== undefined) return reject(ended);
        waiting.push({ resolve, reject });
        child.stdin.write(`${line}\n`);
      }),
    peakMemoryBytes: () => (child.pid === undefined ? undefined : peakMemoryBytes(child.pid)),
    stop: async () => {
      if (ended !== undefined) return;
      const closed = once(child, 'close');
      child.stdin.end();
      await closed;
    },
  };
}
