// What a step of each method costs at the settings that are compared: time, memory, parameters (ours, onnxruntime).
import { fileURLToPath } from 'node:url';
import { appendResult, interleave, runCommand, startWorker } from '@selfsup/bench-kit';
import type { Overrides } from '@selfsup/recipes';

const ROUNDS = Number(process.env['ROUNDS'] ?? 15);
const THREADS = 2;
const worker = fileURLToPath(new URL('./learning-cost-worker.js', import.meta.url));

/** The published number of prototypes shows what they cost; runs of this benchmark have fewer. */
const PUBLISHED_PROTOTYPES = { head: { prototypes: 65_536 } };

const MEASURED: Readonly<Record<string, readonly [recipe: string, changes: Overrides]>> = {
  simdino: ['simdino', {}],
  dino: ['dino', {}],
  'dino, 65536 prototypes': ['dino', PUBLISHED_PROTOTYPES],
  simdinov2: ['simdinov2', {}],
  dinov2: ['dinov2', {}],
};

interface Answer {
  readonly seconds: number;
  readonly parameters: number;
}

/** Rounds of all in turn; memory is the peak less that of an idle process with the same imports. */
export async function measureCost(results: string): Promise<void> {
  const idle = await runCommand({ program: process.execPath, args: [worker, 'idle'] });
  const started = Object.entries(MEASURED).map(([name, [recipe, changes]]) => {
    const args = [worker, recipe, JSON.stringify(changes), `${THREADS}`];
    return { name, process: startWorker({ program: process.execPath, args }), parameters: 0 };
  });
  const rounds = started.map((one) => {
    const round = async (): Promise<number> => {
      const { seconds, parameters } = (await one.process.ask('step')) as Answer;
      one.parameters = parameters;
      return seconds;
    };
    return [one.name, round] as const;
  });
  const seconds = await interleave(Object.fromEntries(rounds), ROUNDS, 2);
  for (const { name, process: running, parameters } of started) {
    const peak = (running.peakMemoryBytes() ?? 0) - (idle.peakMemoryBytes ?? 0);
    await running.stop();
    const row = {
      what: name,
      threads: THREADS,
      rounds: ROUNDS,
      medianSeconds: seconds[name].median.toFixed(4),
      minSeconds: seconds[name].min.toFixed(4),
      peakMB: (peak / 2 ** 20).toFixed(0),
      trainedParameters: parameters,
    };
    process.stdout.write(`${JSON.stringify(row)}\n`);
    appendResult(results, row);
  }
}
