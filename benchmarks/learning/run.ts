// Learning compared with a PyTorch reference: runs what is planned and not in results/learning.csv yet.
//   PYTHON=path/to/python DATA=path/to/cifar npm run learning -- [base] [second] [sensitivity] [long] [same-crops] [cost]
// STEPS=2000 plans longer runs; stop and start again as you like, finished runs are kept.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { appendResult } from '@selfsup/bench-kit';
import { measureCost } from './cost.js';
import { PARTS, planOf, type Part, type PlannedRun } from './plan.js';
import { writeRun } from './prepare.js';
import { readTable } from './results.js';
import { compareOnSameCrops } from './same-crops.js';
import { runSide } from './sides.js';

const results = (name: string): string => fileURLToPath(new URL(`../results/${name}.csv`, import.meta.url));
const LEARNING = results('learning');
const data = process.env['DATA'] ?? fileURLToPath(new URL('../../../shared/data/cifar10-subset', import.meta.url));
const threads = Number(process.env['THREADS'] ?? 1);

/** One evaluated step, as either side reports it. */
interface Report {
  readonly step: number;
  readonly top1: number;
  readonly loss?: number | null;
  readonly secondsPerStep?: number | null;
  readonly peakMemoryBytes: number;
}

const keyOf = ({ side, recipe, variant, seed, steps }: PlannedRun, step: number): string =>
  [side, recipe, variant, seed, steps, step].join(' ');

/** Rows that are there already. */
function finished(): Set<string> {
  const rows = existsSync(LEARNING) ? readTable(LEARNING) : [];
  return new Set(rows.map((r) => [r['side'], r['recipe'], r['variant'], r['seed'], r['steps'], r['step']].join(' ')));
}

async function runPlanned(run: PlannedRun): Promise<void> {
  const done = finished();
  if (done.has(keyOf(run, run.steps))) return;
  const folder = mkdtempSync(join(tmpdir(), 'learning-'));
  try {
    await runSide(run.side, await writeRun(folder, run.config, { data, threads }), (line) => {
      const { step, top1, loss, secondsPerStep, peakMemoryBytes } = line as Report;
      if (done.has(keyOf(run, step))) return;
      const { side, recipe, variant, seed, steps } = run;
      const row = {
        side,
        recipe,
        variant,
        seed,
        steps,
        step,
        'knn.top1': top1.toFixed(2),
        loss: loss?.toFixed(5),
        secondsPerStep: secondsPerStep?.toFixed(3),
        peakMB: (peakMemoryBytes / 2 ** 20).toFixed(0),
        threads,
      };
      process.stdout.write(`${JSON.stringify(row)}\n`);
      appendResult(LEARNING, row);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

// An exit ends the running sides too (see runSide); being killed does not.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));
const asked = process.argv.slice(2);
for (const part of (asked.length > 0 ? asked : PARTS) as Part[]) {
  if (part === 'same-crops') await compareOnSameCrops(data, threads, results('learning-same-crops'));
  else if (part === 'cost') await measureCost(results('learning-cost'));
  // Two at a time, as a rule both sides of a seed: whatever else the machine does meets both alike.
  else for (const pair of planOf(part)) await Promise.all(pair.map(runPlanned));
}
