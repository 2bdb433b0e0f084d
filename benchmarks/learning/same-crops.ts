// Both sides on the very same batches: the losses of some steps must agree. Bisects a difference in the statistics.
//   npm run learning -- same-crops
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { appendResult } from '@selfsup/bench-kit';
import { configOf, RECIPES } from './plan.js';
import { writeRun } from './prepare.js';
import { runSide } from './sides.js';

const STEPS = 50;
/** Frozen layers, warm-up and temperature ramps end within the run, and there is stochastic depth. */
const CHANGES = { length: { warmupSteps: 10, stepsPerEpoch: 10 }, backbone: { dropPathRate: 0.1 } };

interface StepLoss {
  readonly step: number;
  readonly loss: number;
}

export async function compareOnSameCrops(data: string, threads: number, results: string): Promise<void> {
  for (const recipe of RECIPES) {
    const folder = mkdtempSync(join(tmpdir(), 'learning-'));
    try {
      const batches = join(folder, 'batches');
      mkdirSync(batches);
      const run = await writeRun(folder, configOf(recipe, 0, STEPS, [CHANGES]), { data, threads, batches });
      const losses = async (side: 'ours' | 'reference'): Promise<number[]> => {
        const found: number[] = [];
        await runSide(side, run, (line) => found.push((line as StepLoss).loss));
        return found;
      };
      // Ours first: it stores the batches.
      const [ours, reference] = [await losses('ours'), await losses('reference')];
      const differences = ours.map((loss, i) => Math.abs(loss - reference[i]));
      const worst = differences.indexOf(Math.max(...differences));
      const row = {
        recipe,
        steps: STEPS,
        firstLoss: ours[0].toFixed(6),
        lastLoss: ours[STEPS - 1].toFixed(6),
        referenceLastLoss: reference[STEPS - 1].toFixed(6),
        largestDifference: differences[worst].toExponential(2),
        atStep: worst + 1,
      };
      process.stdout.write(`${JSON.stringify(row)}\n`);
      appendResult(results, row);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
}
