import { openRun, type Run } from '@selfsup/checkpoint';
import { openDataset } from '@selfsup/datasets';
import { budgetOf, peakLearningRate, runLength, train as trainRecipe, type RecipeConfig } from '@selfsup/recipes';
import { availableParallelism } from 'node:os';
import { chooseEngine, type EngineChoice } from '../engines.js';
import type { Output } from '../terminal/output.js';
import { createProgress, type Progress } from '../terminal/progress.js';
import { configFromFlags, type ConfigFlags } from './config-flags.js';
import { peakMemoryBytes } from './peak-memory.js';
import { withInterrupt } from './interrupt.js';

export interface TrainFlags extends ConfigFlags, EngineChoice {
  readonly data: string;
  readonly out: string;
  readonly resume?: boolean;
  readonly workers?: number;
}

/** What follows from a configuration and its data; printed, and stored beside it. */
function resolvedFacts(config: RecipeConfig, datasetSize: number): Record<string, unknown> {
  const { totalSteps, warmupSteps, stepsPerEpoch } = runLength(config, datasetSize);
  const budget = budgetOf(config);
  return {
    images: datasetSize,
    totalSteps,
    warmupSteps,
    stepsPerEpoch,
    batchSize: config.batchSize,
    groups: config.groups,
    accumulate: config.accumulate,
    peakLearningRate: peakLearningRate(config.optimizer, config.batchSize),
    learningRateRule: config.optimizer.rule,
    ...(config.recipe === 'simdino' ? { codingRateEps: config.loss.codingRateEps } : {}),
    ...(budget === undefined ? {} : { expansionMax: budget.maximum, expansionCollapsed: budget.collapsed }),
    teacherMomentum: [config.teacher.momentum, config.teacher.momentumEnd],
    crops: `${config.crops.global.views.length} x ${config.crops.global.size} + ${config.crops.local.count} x ${config.crops.local.size}`,
  };
}

/** Threads for decoding: the engine keeps all cores busy anyway, so few are enough. */
export const defaultWorkers = (): number => Math.max(1, Math.min(4, Math.floor(availableParallelism() / 2)));

/** `selfsup train RECIPE`. */
export async function train(flags: TrainFlags, output: Output): Promise<void> {
  const { config, source } = await configFromFlags(flags);
  const dataset = await openDataset(flags.data, { split: 'train' });
  const facts = resolvedFacts(config, dataset.size);
  const engine = await chooseEngine(flags);
  let run: Run | undefined;
  try {
    run = await openRun(flags.out, {
      resume: flags.resume === true,
      config: { ...config, resolved: { ...facts, source, data: flags.data, engine: engine.name } },
      keepLast: config.log.keepCheckpoints,
    });
    for (const note of run.notes) output.note(note);
    output.note(`${config.recipe}, preset ${config.preset} (${source})`);
    output.note(
      Object.entries(facts)
        .map(
          ([key, value]) =>
            `${key} ${typeof value === 'number' && !Number.isInteger(value) ? value.toPrecision(4) : String(value)}`,
        )
        .join(', '),
    );
    const opened = run;
    let progress: Progress | undefined;
    const result = await withInterrupt(output, (signal) =>
      trainRecipe({
        config,
        dataset,
        engine,
        run: opened,
        signal,
        workers: flags.workers ?? defaultWorkers(),
        onStart: ({ totalSteps, startStep }) => {
          progress = createProgress({ label: 'step', total: totalSteps, start: startStep });
        },
        onStep: (step, loss) => progress?.update(step, `loss ${loss.toFixed(4)}`),
        onRecord: (record) =>
          progress?.update(record.step, `loss ${record.loss.toFixed(4)} ${record.imagesPerSecond.toFixed(1)} images/s`),
        onNote: (text) => output.note(text),
        onBadFile: ({ name, message }) => output.note(`skipped ${name}: ${message}`),
      }).finally(() => progress?.finish()),
    );
    output.result(
      {
        recipe: config.recipe,
        arch: config.arch,
        steps: result.steps,
        loss: result.loss,
        parts: result.parts,
        secondsPerStep: result.secondsPerStep,
        imagesPerSecond: result.imagesPerSecond,
        firstStepSeconds: result.firstStepSeconds,
        peakMemoryBytes: peakMemoryBytes(),
        out: flags.out,
      },
      `trained ${result.steps} steps, loss ${result.loss.toFixed(4)}, ${result.secondsPerStep.toFixed(3)} s a step, ${(peakMemoryBytes() / 2 ** 20).toFixed(0)} MB; saved in ${flags.out}\n` +
        `next: selfsup eval knn --checkpoint ${flags.out} --data ${flags.data}`,
    );
  } finally {
    await run?.close();
    await engine.dispose();
  }
}
