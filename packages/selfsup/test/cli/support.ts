import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, mkdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Rng } from '@selfsup/core';
import sharp from 'sharp';

/** The built command, as a user runs it. */
const BIN = fileURLToPath(new URL('../../bin/selfsup.js', import.meta.url));

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function start(args: readonly string[], cwd?: string): { child: ChildProcess; done: Promise<Finished> } {
  const child = spawn(process.execPath, [BIN, ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const done = new Promise<Finished>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return { child, done };
}

export const selfsup = (args: readonly string[], cwd?: string): Promise<Finished> => start(args, cwd).done;

/** The JSON object a command prints last. */
export const lastJson = ({ stdout }: Finished): Record<string, never> =>
  JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<string, never>;

export const temporary = (): Promise<string> => mkdtemp(join(tmpdir(), 'selfsup-cli-'));

/** Two classes of pictures anybody can tell apart: stripes and discs, in any colour. */
export async function makePictures(directory: string, perClass: number): Promise<string> {
  for (const [label, shape] of [
    ['stripes', (x: number, y: number, a: number) => Math.sin((x * Math.cos(a) + y * Math.sin(a)) / 3) > 0],
    ['discs', (x: number, y: number, a: number) => Math.hypot(x - 16 - 4 * Math.cos(a), y - 16 - 4 * Math.sin(a)) < 9],
  ] as const) {
    await mkdir(join(directory, label), { recursive: true });
    for (let i = 0; i < perClass; i++) {
      const rng = Rng.of(1, label, i);
      const [a, ink, paper] = [
        rng.uniform(0, 6.28),
        [0, 1, 2].map(() => rng.integer(256)),
        [0, 1, 2].map(() => rng.integer(256)),
      ];
      const data = Uint8Array.from({ length: 32 * 32 * 3 }, (_, k) => {
        const [x, y] = [Math.floor(k / 3) % 32, Math.floor(k / 96)];
        return (shape(x, y, a) ? ink : paper)[k % 3];
      });
      await sharp(data, { raw: { width: 32, height: 32, channels: 3 } })
        .png()
        .toFile(join(directory, label, `${i}.png`));
    }
  }
  return directory;
}

/** Settings small enough to train in seconds. */
export const TINY = [
  '--preset',
  'cifar-tiny',
  '--batch-size',
  '8',
  '--set',
  'backbone.width=32',
  '--set',
  'backbone.depth=2',
  '--set',
  'backbone.heads=2',
  '--set',
  'head.hiddenWidth=32',
  '--set',
  'head.width=16',
  '--set',
  'log.everySteps=1',
  '--set',
  'length.warmupSteps=2',
] as const;

/** Losses by step of a run. */
export async function losses(run: string): Promise<Record<number, number>> {
  const lines = (await readFile(join(run, 'metrics.jsonl'), 'utf8')).trim().split('\n');
  return Object.fromEntries(
    lines.map((line) => JSON.parse(line) as { step: number; loss: number }).map(({ step, loss }) => [step, loss]),
  );
}

/** Waits until a run has written a checkpoint of at least this step. */
export async function untilCheckpoint(run: string, step: number): Promise<void> {
  for (;;) {
    const latest = await readFile(join(run, 'latest'), 'utf8').catch(() => '');
    if (Number(/step-(\d+)/.exec(latest)?.[1] ?? -1) >= step) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
