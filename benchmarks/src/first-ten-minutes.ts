// The commands of the README's "First ten minutes" in a fresh clone, with the seconds each takes, as a table.
//   npm run bench:first-ten-minutes -- DATA [word...]     (words: only commands that contain one of them, and `npm ci`)
// DATA, class folders or CIFAR binaries, stands for the README's folders. A command is stopped as by Ctrl-C after
// LIMIT seconds (120): runs are long, and the README says how to stop them. npm's cache is as it is.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { appendResult } from '@selfsup/bench-kit';
import { here } from './workers.js';

const LIMIT = Number(process.env['LIMIT'] ?? 120);
const INSTALL = 'npm ci';

const [data, ...words] = process.argv.slice(2);
if (data === undefined) throw new RangeError('benchmarks: expected a folder of labelled images, got none');
const root = here('../..');

/** Commands of the section's shell blocks in order, each once, without comments. */
function commandsOf(readme: string): string[] {
  const section = /^## First ten minutes\n([\s\S]*?)(?=^## )/m.exec(readme)?.[1] ?? '';
  const blocks = Array.from(section.matchAll(/^```sh\n([\s\S]*?)^```/gm), ([, block]) => block);
  const lines = blocks.join('').replaceAll('\\\n', ' ').split('\n');
  const commands = lines.flatMap((line) => line.replace(/\s+#.*$/, '').split(' && '));
  return [...new Set(commands.map((command) => command.trim()).filter((command) => command !== ''))];
}

/** How a command ended. */
interface Ended {
  readonly result: 'done' | 'stopped' | 'failed';
  readonly seconds: number;
  readonly stderr: string;
}

/** @param limit - Seconds after which it is stopped; none: never. */
async function run(command: string, cwd: string, limit?: number): Promise<Ended> {
  const began = performance.now();
  // A group of its own, as a terminal gives: Ctrl-C reaches npx and what it started.
  const child = spawn('sh', ['-c', command], { cwd, detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
  const interrupt = (): boolean => process.kill(-(child.pid as number), 'SIGINT');
  let [stderr, stopped] = ['', false];
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-2000)));
  const timer = limit === undefined ? undefined : setTimeout(() => (stopped = interrupt()), limit * 1000);
  process.once('exit', interrupt);
  const [code] = (await once(child, 'close')) as [number | null];
  process.off('exit', interrupt);
  clearTimeout(timer);
  const result = code === 0 ? 'done' : stopped ? 'stopped' : 'failed';
  return { result, seconds: (performance.now() - began) / 1000, stderr };
}

// An exit interrupts the running command too; being killed does not.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));
const folder = await mkdtemp(join(tmpdir(), 'selfsup-first-'));
const clone = join(folder, 'selfsup');
const table = ['| command | seconds | |', '| --- | --- | --- |'];
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
const cloned = await run(`git clone --quiet '${root}' '${clone}'`, folder);
if (cloned.result !== 'done') throw new Error(`benchmarks: cannot clone ${root}\n${cloned.stderr}`);
const wanted = commandsOf(await readFile(join(clone, 'README.md'), 'utf8')).filter(
  (command) => command === INSTALL || words.length === 0 || words.some((word) => command.includes(word)),
);
for (const command of wanted) {
  process.stderr.write(`${command}\n`);
  const filled = command.replaceAll(/path\/to\/(class-folders|folder)/g, `'${resolve(data)}'`);
  const { result, seconds, stderr } = await run(filled, clone, command === INSTALL ? undefined : LIMIT);
  if (result === 'failed') process.stderr.write(`${stderr}\n`);
  const what = result === 'stopped' ? `stopped after ${LIMIT} s` : result;
  table.push(`| \`${command}\` | ${seconds.toFixed(0)} | ${what} |`);
  appendResult(here('../results/first-ten-minutes.csv'), { command, seconds: seconds.toFixed(1), result: what });
  if (result === 'failed') process.exitCode = 1;
}
process.stdout.write(`${table.join('\n')}\n`);
