import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openRun } from '@selfsup/checkpoint';
import { recipeOf, resolveConfig } from '@selfsup/recipes';
import { vi } from 'vitest';
import { main } from '../../src/cli.js';

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command line in this process and catches what it writes. */
export async function inProcess(args: readonly string[]): Promise<Ended> {
  const written = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      written[name] += String(text);
      return true;
    }),
  );
  try {
    const code = await main(args);
    return { code, ...written };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

/** The one JSON object on stdout. */
export function jsonOf({ stdout }: Ended): Record<string, unknown> {
  const lines = stdout.trim().split('\n');
  if (lines.length !== 1) throw new Error(`expected one line on stdout, got ${lines.length}`);
  return JSON.parse(lines[0]) as Record<string, unknown>;
}

/** A slow but sure engine. */
export const ENGINE = ['--engine', 'tfjs', '--backend', 'cpu'] as const;

/** A run directory as training leaves it, with a network of a few weights. */
export async function makeRun(directory: string, data: string, steps = 20): Promise<string> {
  const { config } = resolveConfig({
    recipe: 'simdino',
    preset: 'cifar-tiny',
    overrides: [
      {
        backbone: { imageSize: 32, patchSize: 8, width: 16, depth: 2, heads: 2 },
        head: { hiddenWidth: 16, width: 8 },
        length: { steps },
      },
    ],
  });
  const { init } = recipeOf(config).networks;
  const run = await openRun(directory, {
    config: { ...config, resolved: { totalSteps: steps, warmupSteps: 2, data, engine: 'tfjs' } },
  });
  for (let step = 1; step <= steps; step++) {
    run.logMetrics({
      step,
      loss: -1 - step / 50,
      parts: { compression: 0.6, expansion: 0.4 + step / 50 },
      gradientRatio: 0.3,
      gradientNorm: 2,
      learningRate: 1e-3,
      featureStd: 0.2,
      effectiveRank: 3 + step / 10,
      expansionMax: 2.5,
      expansionCollapsed: 0.25,
      memoryBytes: 2e8,
      imagesPerSecond: 100,
    });
    if (step % 10 === 0) run.logMetrics({ step, knn: { top1: 40 + step / 10 } });
  }
  const weights = Object.entries(init(0));
  await run.save({
    step: steps,
    seed: 0,
    state: Object.fromEntries(
      ['student', 'teacher'].flatMap((network) => weights.map(([name, tensor]) => [`${network}.${name}`, tensor])),
    ),
  });
  run.logBadFile({ name: 'discs/<b>&broken.png', message: 'the file is empty' });
  await run.close();
  return directory;
}

/** What a process leaves behind that is killed while it writes. */
export const cutLine = (run: string): Promise<void> =>
  appendFile(join(run, 'metrics.jsonl'), '{"step":21,"loss":-1.4,"pa');
