// A real `selfsup train` in a process of its own, followed through the log it writes.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('bin/selfsup.js', import.meta.resolve('selfsup/package.json')));

/** A line of the log when it appeared. */
export interface Seen {
  readonly step: number;
  readonly loss: number;
  /** Since the command started. */
  readonly seconds: number;
  readonly pid: number;
}

/**
 * Runs `selfsup train` to its end.
 *
 * @param args - Everything after `train` but `--out`, which is a folder that is removed afterwards.
 * @param onRecord - Told of every logged step within a few milliseconds.
 * @throws Error with the end of its stderr when it fails
 */
export async function followTraining(args: readonly string[], onRecord: (seen: Seen) => void): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'selfsup-bench-'));
  const out = join(folder, 'run');
  const began = performance.now();
  const child = spawn(process.execPath, [program, 'train', ...args, '--out', out], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-4000)));
  const closed = once(child, 'close') as Promise<[number | null]>;
  let known = 0;
  const look = async (): Promise<void> => {
    const text = await readFile(join(out, 'metrics.jsonl'), 'utf8').catch(() => '');
    const seconds = (performance.now() - began) / 1000;
    for (const line of text.split('\n').slice(0, -1).slice(known)) {
      known++;
      const { step, loss } = JSON.parse(line) as { step: number; loss: number };
      onRecord({ step, loss, seconds, pid: child.pid as number });
    }
  };
  try {
    let running = true;
    void closed.then(() => (running = false));
    while (running) {
      await look();
      await wait(5);
    }
    const [code] = await closed;
    if (code !== 0) throw new Error(`benchmarks: selfsup train ${args.join(' ')} ended with code ${code}\n${stderr}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
