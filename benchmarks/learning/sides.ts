// Starts either side on a run file and hands on what it reports.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Side } from './plan.js';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const COMMANDS: Readonly<Record<Side, readonly [program: string, script: string]>> = {
  ours: [process.execPath, here('./learning-ours.js')],
  reference: [process.env['PYTHON'] ?? 'python3', here('../learning/reference/train.py')],
};

/** Runs one side to its end. @throws Error with the end of its stderr when it fails */
export async function runSide(side: Side, runFile: string, onLine: (line: unknown) => void): Promise<void> {
  const [program, script] = COMMANDS[side];
  const child = spawn(program, [script, runFile], { stdio: ['ignore', 'pipe', 'pipe'] });
  const kill = (): boolean => child.kill();
  process.once('exit', kill);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-4000)));
  createInterface({ input: child.stdout }).on('line', (line) => onLine(JSON.parse(line)));
  const [code] = (await once(child, 'close')) as [number | null];
  process.off('exit', kill);
  if (code !== 0) throw new Error(`learning: ${side} on ${runFile} ended with code ${code}\n${stderr}`);
}
