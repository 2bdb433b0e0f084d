import { estimateFlops } from '@selfsup/compile';
import {
  parseAssignment,
  initialState,
  prepareTraining,
  recipeOf,
  resolveConfig,
  syntheticBatch,
} from '@selfsup/recipes';
import { chooseEngine, type EngineChoice } from '../engines.js';
import type { Output } from '../terminal/output.js';
import { createProgress } from '../terminal/progress.js';
import { peakMemoryBytes } from './peak-memory.js';

export interface BenchStepFlags extends EngineChoice {
  readonly recipe: string;
  /** The recipe's first one by default. */
  readonly preset?: string;
  readonly arch: string;
  readonly batchSize: number;
  readonly steps: number;
  readonly set?: readonly string[];
}

/** Views of every step measured, whatever the preset has, so that recipes can be compared: 2 + 8. */
const LOCAL_CROPS = 8;

/** `selfsup bench step`: whole training steps on made-up pictures, nothing read from disk. */
export async function benchStep(flags: BenchStepFlags, output: Output): Promise<void> {
  const began = performance.now();
  const { config } = resolveConfig({
    recipe: flags.recipe,
    preset: flags.preset,
    overrides: [
      { arch: flags.arch, batchSize: flags.batchSize, groups: 1, crops: { local: { count: LOCAL_CROPS } } },
      ...(flags.set ?? []).map((text) => parseAssignment('selfsup.set', text)),
    ],
  });
  const engine = await chooseEngine(flags);
  const progress = createProgress({ label: 'step', total: flags.steps + 1 });
  try {
    const recipe = recipeOf(config);
    const training = await prepareTraining(recipe, engine);
    await training.store.load(initialState(recipe));
    const seconds: number[] = [];
    let firstStepSeconds = 0;
    for (let step = 0; step <= flags.steps; step++) {
      const batch = syntheticBatch(recipe, step);
      const stepBegan = performance.now();
      await training.run(batch);
      const now = performance.now();
      if (step === 0) firstStepSeconds = (now - began) / 1000;
      else seconds.push((now - stepBegan) / 1000);
      progress.update(step + 1);
    }
    progress.finish();
    await training.dispose();
    seconds.sort((a, b) => a - b);
    const secondsPerStep = { min: seconds[0], median: seconds[seconds.length >> 1], max: seconds[seconds.length - 1] };
    // A step in parts is several programs, none of them the whole.
    const flopsPerStep = training.graph === undefined ? null : estimateFlops(training.graph).total;
    const rate = flopsPerStep === null ? '' : `, ${(flopsPerStep / 1e9 / secondsPerStep.median).toFixed(0)} GFLOP/s`;
    output.result(
      {
        recipe: flags.recipe,
        arch: config.arch,
        batchSize: config.batchSize,
        engine: engine.name,
        precision: flags.precision ?? 'f32',
        secondsPerStep,
        firstStepSeconds,
        peakMemoryBytes: peakMemoryBytes(),
        flopsPerStep,
      },
      `${flags.recipe} ${config.arch}, batch ${config.batchSize}, ${engine.name}: ${secondsPerStep.median.toFixed(3)} s a step (${secondsPerStep.min.toFixed(3)} to ${secondsPerStep.max.toFixed(3)}), ` +
        `first step after ${firstStepSeconds.toFixed(1)} s, ${(peakMemoryBytes() / 2 ** 20).toFixed(0)} MB${rate}`,
    );
  } finally {
    await engine.dispose();
  }
}
