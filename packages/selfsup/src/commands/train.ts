import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { compareParameters, loadCheckpoint, openRun, type Run } from '@selfsup/checkpoint';
import { SslError, type Specs } from '@selfsup/core';
import { openDataset, type Dataset } from '@selfsup/datasets';
import {
  budgetOf,
  initialWeights,
  type InitialPart,
  peakLearningRate,
  type ProbeAccuracy,
  type ProbeData,
  recipeOf,
  type RunLength,
  runLength,
  train as trainRecipe,
  type RecipeConfig,
  trainingStateSpecs,
  withFrozenTeacher,
} from '@selfsup/recipes';
import { availableParallelism } from 'node:os';
import { machineFacts } from '../doctor/machine.js';
import { runVersions } from '../doctor/versions.js';
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
  /** Weights to start from. */
  readonly init?: string;
  readonly initPart: InitialPart;
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
    ...('codingRateEps' in config.loss ? { codingRateEps: config.loss.codingRateEps } : {}),
    ...(budget === undefined ? {} : { expansionMax: budget.maximum, expansionCollapsed: budget.collapsed }),
    ...(config.recipe === 'distill'
      ? { teacher: config.teacher.path }
      : { teacherMomentum: [config.teacher.momentum, config.teacher.momentumEnd] }),
    crops: `${config.crops.global.views.length} x ${config.crops.global.size} + ${config.crops.local.count} x ${config.crops.local.size}`,
  };
}

function storedSettings(path: string, text: string): { readonly recipe?: unknown } {
  try {
    return JSON.parse(text) as { recipe?: unknown };
  } catch (cause) {
    throw new SslError('RUN_DIRECTORY', {
      where: 'selfsup.train',
      expected: `the settings of a run in ${path}`,
      got: 'a file that is no JSON',
      fix: 'put back what was there, or start a new run with --init and the old folder',
      details: { path },
      cause,
    });
  }
}

/** A resumed run needs something left to do. */
function checkStepsLeft({ totalSteps }: RunLength, done: number, out: string): void {
  if (done < totalSteps) return;
  throw new SslError('BAD_OPTION', {
    where: 'selfsup.train',
    expected: `more steps in all than the ${done} that ${out} has done`,
    got: `${totalSteps}`,
    fix: `use --steps with more than ${done}; there is nothing left to train otherwise`,
    details: { done, totalSteps },
  });
}

/** The settings and state of the run to resume; its settings hold unless flags say otherwise. */
async function storedRun(out: string, recipe: string): Promise<{ config?: string; specs?: Specs; step?: number }> {
  const config = join(out, 'config.json');
  const text = await readFile(config, 'utf8').catch(() => undefined);
  // What is wrong with a folder that holds no run is said by openRun.
  if (text === undefined) return {};
  const stored = storedSettings(config, text);
  if (stored.recipe !== recipe) {
    throw new SslError('BAD_OPTION', {
      where: 'selfsup.train',
      expected: `a run of ${recipe} in ${out}`,
      got: `a run of ${String(stored.recipe)}`,
      fix: `resume it with: selfsup train ${String(stored.recipe)} --resume --out ${out}, or choose another --out`,
      details: { out, recipe, stored: stored.recipe },
    });
  }
  try {
    const { specs, manifest } = await loadCheckpoint(out);
    return { config, specs, step: manifest?.step ?? 0 };
  } catch (error) {
    // Killed before its first checkpoint: there is nothing to compare with, and openRun starts it anew.
    if (SslError.is(error) && error.code === 'CHECKPOINT_UNREADABLE') return { config };
    throw error;
  }
}

/** Every device gets as many pictures of each part of a step. */
function checkDevices({ batchSize, accumulate }: RecipeConfig, devices: number): void {
  const images = batchSize / accumulate;
  if (images % devices === 0) return;
  throw new SslError('BAD_OPTION', {
    where: 'selfsup.train',
    expected: `a batch that ${devices} devices divide`,
    got: accumulate === 1 ? `${batchSize} images` : `${images} images in each of ${accumulate} parts`,
    fix: `use --batch-size ${Math.max(1, Math.round(images / devices)) * devices * accumulate}, or fewer --devices`,
    details: { batchSize, accumulate, devices },
  });
}

/** Labelled pictures for the probe, or in words why there are none. */
async function probeData({ data }: TrainFlags, config: RecipeConfig, train: Dataset): Promise<ProbeData | string> {
  if (config.probe.everySteps === 0) return 'no probe: turned off';
  if (train.classes === undefined)
    return 'no probe: the pictures have no labels (folders named after classes would be)';
  try {
    return { train, test: await openDataset(data, { split: 'test' }) };
  } catch (error) {
    if (SslError.is(error) && error.code === 'DATA_EMPTY') return 'no probe: no picture is held out';
    throw error;
  }
}

const accuracyLine = (accuracy: ProbeAccuracy | undefined): string =>
  accuracy === undefined
    ? ''
    : `held-out pictures of the probe: k-NN ${accuracy.knn.top1.toFixed(1)} %, linear ${accuracy.probe.top1.toFixed(1)} %\n`;

/** Threads for decoding: the engine keeps all cores busy anyway, so few are enough. */
export const defaultWorkers = (): number => Math.max(1, Math.min(4, Math.floor(availableParallelism() / 2)));

/** `selfsup train RECIPE`. */
export async function train(flags: TrainFlags, output: Output): Promise<void> {
  const resumed = flags.resume === true ? await storedRun(flags.out, flags.recipe) : undefined;
  const { config: chosen, source } = await configFromFlags(
    resumed === undefined ? flags : { ...flags, config: flags.config ?? resumed.config },
  );
  // What is wrong with a folder that holds no run to resume is said by openRun.
  const missing = resumed !== undefined && resumed.config === undefined;
  const teacher = chosen.recipe === 'distill' && !missing ? await withFrozenTeacher(chosen) : undefined;
  const config = teacher?.config ?? chosen;
  checkDevices(config, flags.devices ?? 1);
  const dataset = await openDataset(flags.data, { split: 'train' });
  const facts = resolvedFacts(config, dataset.size);
  const probe = await probeData(flags, config, dataset);
  // Before anything is written: a run of another network must stay as it is.
  if (resumed?.specs !== undefined) compareParameters(trainingStateSpecs(config), resumed.specs, { source: flags.out });
  if (resumed?.step !== undefined) checkStepsLeft(runLength(config, dataset.size), resumed.step, flags.out);
  const initial =
    flags.init === undefined ? undefined : await initialWeights(recipeOf(config), flags.init, flags.initPart);
  const engine = await chooseEngine(flags);
  let run: Run | undefined;
  try {
    run = await openRun(flags.out, {
      resume: flags.resume === true,
      config: {
        ...config,
        resolved: {
          ...facts,
          source,
          data: resolve(flags.data),
          engine: engine.name,
          precision: flags.precision ?? 'f32',
          devices: flags.devices ?? 1,
          ...(flags.init === undefined ? {} : { init: resolve(flags.init), initPart: flags.initPart }),
        },
        environment: machineFacts(),
      },
      keepLast: config.log.keepCheckpoints,
      versions: runVersions(),
    });
    for (const note of [...run.notes, ...(teacher?.notes ?? [])]) output.note(note);
    output.note(`${config.recipe}, preset ${config.preset} (${source})`);
    output.note(
      Object.entries(facts)
        .map(
          ([key, value]) =>
            `${key} ${typeof value === 'number' && !Number.isInteger(value) ? value.toPrecision(4) : String(value)}`,
        )
        .join(', '),
    );
    if (typeof probe === 'string') output.note(probe);
    const opened = run;
    let progress: Progress | undefined;
    const result = await withInterrupt(output, (signal) =>
      trainRecipe({
        config,
        dataset,
        engine,
        run: opened,
        signal,
        ...(initial === undefined ? {} : { initial }),
        ...(teacher === undefined ? {} : { frozen: teacher.frozen }),
        ...(typeof probe === 'string' ? {} : { probe }),
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
        ...result.accuracy,
        probeSeconds: result.probeSeconds,
        peakMemoryBytes: peakMemoryBytes(),
        out: flags.out,
      },
      `trained ${result.steps} steps, loss ${result.loss.toFixed(4)}, ${result.secondsPerStep.toFixed(3)} s a step, ${(peakMemoryBytes() / 2 ** 20).toFixed(0)} MB; saved in ${flags.out}\n` +
        accuracyLine(result.accuracy) +
        `next: selfsup eval knn --checkpoint ${flags.out} --data ${flags.data}`,
    );
  } finally {
    await run?.close();
    await engine.dispose();
  }
}
