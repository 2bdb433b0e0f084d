import { join, resolve } from 'node:path';
import { openRun, type Run } from '@selfsup/checkpoint';
import type { Engine } from '@selfsup/compile';
import { pickNamed, SslError } from '@selfsup/core';
import { openDataset, type Dataset } from '@selfsup/datasets';
import {
  checkRun,
  initialWeights,
  type InitialPart,
  type ProbeAccuracy,
  type ProbeData,
  RECIPES,
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
import { runFolder } from './run-folder.js';
import { runFacts, runFactsText, shortRunNote } from './run-facts.js';
import { settingChanges, storedData, storedInit, storedPrecision, storedRun, type StoredRun } from './resumed-run.js';

export interface TrainFlags extends ConfigFlags, EngineChoice {
  /** Those of the run by default, where one is resumed. */
  readonly data?: string;
  /** Folder of the run; see {@link runFolder}. */
  readonly out?: string;
  readonly resume?: boolean;
  /** Weights to start from. */
  readonly init?: string;
  readonly initPart: InitialPart;
  readonly workers?: number;
}

const quoted = (path: string): string => (/^[\w./@:+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`);

/** `xla on 2 x cpu`. */
function engineText(engine: Engine): string {
  const names = engine.devices().map(({ name }) => name);
  const [first = ''] = names;
  return `${engine.name} on ${names.length > 1 ? `${names.length} devices, ` : ''}${first}`;
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
async function probeData(data: string, config: RecipeConfig, train: Dataset): Promise<ProbeData | string> {
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

/** Weights to start from; those of a run that was killed before its first checkpoint are asked for again. */
function initOf(
  { init, initPart }: TrainFlags,
  resumed: StoredRun | undefined,
): { path: string; part: InitialPart } | undefined {
  if (resumed === undefined) return init === undefined ? undefined : { path: resolve(init), part: initPart };
  if (init === undefined) return storedInit(resumed);
  throw new SslError('BAD_OPTION', {
    where: 'selfsup.train',
    expected: 'either --resume or --init',
    got: 'both',
    fix: 'leave --init out to go on with the run, or choose a new --out to start from those weights',
  });
}

/** The folder of pictures; a run to resume knows its own. */
function dataOf({ data }: TrainFlags, out: string, resumed: StoredRun | undefined): string {
  const found = data ?? storedData(resumed);
  if (found !== undefined) return found;
  throw new SslError('BAD_OPTION', {
    where: 'selfsup.train',
    expected: '--data DIR, or a run to resume that knows its pictures',
    got: `no such run in ${out}`,
    fix: 'add --data DIR, and check --out',
    details: { out },
  });
}

/** Unreadable files that are told of one by one; the others are in the run's list. */
const TOLD_BAD_FILES = 10;

function badFileNotes(output: Output, out: string): (file: { name: string; message: string }) => void {
  let count = 0;
  return ({ name, message }) => {
    count++;
    if (count <= TOLD_BAD_FILES) output.note(`skipped ${name}: ${message}`);
    else if (count === TOLD_BAD_FILES + 1) output.note(`more files are skipped, see ${join(out, 'bad-files.jsonl')}`);
  };
}

/** `selfsup train RECIPE`. */
export async function train(asked: TrainFlags, output: Output): Promise<void> {
  const resuming = asked.resume === true;
  pickNamed('selfsup.train', 'a recipe', asked.recipe, RECIPES);
  const out = asked.out ?? runFolder(`runs/${asked.recipe}`, resuming);
  const resumed = resuming ? await storedRun(out, asked.recipe, asked.preset) : undefined;
  const precision = asked.precision ?? storedPrecision(resumed);
  const flags = { ...asked, precision, data: dataOf(asked, out, resumed) };
  const { config: chosen, source } = await configFromFlags(flags, resumed?.settings);
  // What is wrong with a folder that holds no run to resume is said by openRun.
  const missing = resuming && resumed === undefined;
  const teacher = chosen.recipe === 'distill' && !missing ? await withFrozenTeacher(chosen) : undefined;
  const config = teacher?.config ?? chosen;
  checkDevices(config, flags.devices ?? 1);
  const dataset = await openDataset(flags.data, { split: 'train' });
  // A distillation without a teacher has no step yet; that its run is missing is said below.
  const length = missing ? runLength(config, dataset.size) : checkRun(config, dataset.size);
  const facts = runFacts(config, dataset.size, length);
  const probe = await probeData(flags.data, config, dataset);
  if (resumed !== undefined && resumed.step > 0) checkStepsLeft(length, resumed.step, out);
  const init = initOf(flags, resumed);
  const initial =
    init === undefined || (resumed?.step ?? 0) > 0
      ? undefined
      : await initialWeights(recipeOf(config), init.path, init.part);
  const { changes, now } =
    resumed === undefined ? { changes: [], now: [] } : settingChanges(resumed, config, precision);
  const engine = await chooseEngine(flags);
  let run: Run | undefined;
  try {
    run = await openRun(out, {
      resume: resuming,
      ...(missing ? {} : { state: trainingStateSpecs(config) }),
      config: {
        ...config,
        resolved: {
          ...facts,
          source,
          data: resolve(flags.data),
          engine: engine.name,
          precision,
          devices: flags.devices ?? 1,
          ...(init === undefined ? {} : { init: init.path, initPart: init.part }),
          ...(changes.length === 0 ? {} : { changes }),
        },
        environment: machineFacts(),
      },
      keepLast: config.log.keepCheckpoints,
      versions: runVersions(),
    });
    if (now.length > 0) output.note(`other settings than up to step ${resumed?.step ?? 0}: ${now.join(', ')}`);
    for (const note of [...run.notes, ...(teacher?.notes ?? [])]) output.note(note);
    output.note(`${config.recipe}, preset ${config.preset} (${source})`);
    output.note(runFactsText(facts, typeof probe === 'string' ? undefined : probe.test.size));
    const short = shortRunNote(length);
    if (short !== undefined) output.note(short);
    output.note(`  ${'engine'.padEnd(14)}${engineText(engine)}`);
    if (typeof probe === 'string') output.note(probe);
    output.note(`compiling the step${engine.name === 'xla' ? ' (can take minutes the first time)' : ''}`);
    const compilingSince = performance.now();
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
          output.note(`  ready after ${((performance.now() - compilingSince) / 1000).toFixed(1)} s`);
          progress = createProgress({ label: 'step', total: totalSteps, start: startStep });
        },
        onStep: (step, loss) => progress?.update(step, `loss ${loss.toFixed(4)}`),
        onRecord: (record) =>
          progress?.update(record.step, `loss ${record.loss.toFixed(4)} ${record.imagesPerSecond.toFixed(1)} images/s`),
        onNote: (text) => output.note(text),
        onBadFile: badFileNotes(output, out),
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
        out,
      },
      `trained ${result.steps} steps, loss ${result.loss.toFixed(4)}, ${result.secondsPerStep.toFixed(3)} s a step, ${(peakMemoryBytes() / 2 ** 20).toFixed(0)} MB; saved in ${out}\n` +
        accuracyLine(result.accuracy) +
        `next: ${dataset.classes === undefined ? '' : `selfsup eval knn --checkpoint ${quoted(out)} --data ${quoted(flags.data)}, or `}selfsup report ${quoted(out)}`,
    );
  } finally {
    await run?.close();
    await engine.dispose();
  }
}
