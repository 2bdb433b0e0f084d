import type { Engine } from '@selfsup/compile';
import { compareParameters, readBadFiles, type DeferredTensor, type Run } from '@selfsup/checkpoint';
import { SslError, type HostArrays, type HostTensor, type Specs } from '@selfsup/core';
import type { Dataset } from '@selfsup/datasets';
import type { RecipeConfig } from '../config/types.js';
import { recipeOf } from '../recipe-of.js';
import { FINITE } from './update.js';
import { checkRun } from './check-run.js';
import { failedStep } from './failed-step.js';
import { createLoader, type BadFile, type LoadedBatch } from './loader.js';
import { collapseAlarm, collapseWarning, featureReport } from './monitor.js';
import { prepareAndDraw } from './prepare.js';
import { isRunTooShort, openProbe, type Probe, type ProbeAccuracy, type ProbeData } from './probe.js';
import type { RunLength } from './schedules.js';

/** One line of `metrics.jsonl`. `step` counts finished steps; accuracies are there where the probe measured. */
export interface LogRecord extends Partial<ProbeAccuracy> {
  readonly step: number;
  readonly loss: number;
  /** Parts of the loss by name, e.g. `compression`, `expansion`. */
  readonly parts: Readonly<Record<string, number>>;
  /** Norm of the first term's gradient over that of the second, at the features (SimDINO: compression, expansion). */
  readonly gradientRatio?: number;
  readonly gradientNorm: number;
  readonly learningRate: number;
  readonly featureStd: number;
  readonly effectiveRank: number;
  /** Bounds of the expansion, where the method has one. */
  readonly expansionMax?: number;
  readonly expansionCollapsed?: number;
  /** Largest resident size so far, bytes. */
  readonly memoryBytes: number;
  /** Since the last record. */
  readonly imagesPerSecond: number;
}

export interface TrainOptions {
  readonly config: RecipeConfig;
  readonly dataset: Dataset;
  readonly engine: Engine;
  /** Run directory to log and save into, already resumed where that is wanted; none: nothing is written. */
  readonly run?: Run;
  /** State to start from instead of the usual values, by name, see `initialWeights`; a resumed run has its own. */
  readonly initial?: HostArrays;
  /** Values of the recipe's frozen state, see `withFrozenTeacher`. */
  readonly frozen?: HostArrays;
  /** Labelled pictures to measure accuracy with while training, as `config.probe` says. */
  readonly probe?: ProbeData;
  /** Prefixes of the state that the result brings; by default all of it without `run`, else none: checkpoints have it. */
  readonly keep?: readonly string[];
  /** Threads that decode and augment. */
  readonly workers?: number;
  /** Told after every step. */
  readonly onStep?: (step: number, loss: number) => void;
  readonly onRecord?: (record: LogRecord) => void;
  /** Warnings for people. */
  readonly onNote?: (text: string) => void;
  readonly onBadFile?: (file: BadFile) => void;
  readonly onStart?: (length: RunLength & { readonly startStep: number }) => void;
  /** Stops after the running step; the state is saved first. */
  readonly signal?: AbortSignal;
  /** Looks at the state every so many steps, e.g. to evaluate it. */
  readonly inspect?: {
    readonly everySteps: number;
    readonly look: (step: number, read: (prefixes: readonly string[]) => Promise<HostArrays>) => Promise<void>;
  };
}

export interface TrainResult {
  readonly steps: number;
  readonly loss: number;
  readonly parts: Readonly<Record<string, number>>;
  /** Median of this run's steps, waiting for data included, seconds. */
  readonly secondsPerStep: number;
  readonly imagesPerSecond: number;
  /** Seconds from the call to the end of the first step. */
  readonly firstStepSeconds: number;
  /** What the probe measured last. */
  readonly accuracy?: ProbeAccuracy;
  /** Time the probe took, preparations included. */
  readonly probeSeconds: number;
  /** State by name, on the host: what `keep` asks for. */
  readonly state: Record<string, HostTensor>;
}

/** What stays of a checkpoint once its names and shapes are known to be this run's. */
async function storedState(run: Run, specs: Specs): Promise<HostArrays> {
  const stored = await (run.checkpoint as NonNullable<Run['checkpoint']>).read();
  compareParameters(specs, stored, { source: run.directory });
  return Object.fromEntries(Object.keys(specs).map((name) => [name, stored[name].data]));
}

/** What the part of a resumed run before this one could not read. */
async function badFileNames({ directory }: Run): Promise<string[]> {
  const { records } = await readBadFiles(directory);
  return records.flatMap(({ name }) => (typeof name === 'string' ? [name] : []));
}

function nonFinite(
  step: number,
  metrics: HostArrays,
  partNames: readonly string[],
  names: readonly string[],
): SslError {
  const bad = (name: string): boolean => !Number.isFinite(metrics[name][0]);
  const parts = [...partNames, 'loss'].filter(bad);
  const gradients = names.filter((_, i) => !Number.isFinite(metrics['gradientNorms'][i]));
  const cause =
    parts.length > 0
      ? `${parts[0]} is ${metrics[parts[0]][0]}`
      : `the gradient of ${gradients[0]} is not finite (${gradients.length} of ${names.length})`;
  return new SslError('NON_FINITE', {
    where: 'recipes.train',
    expected: 'finite losses and gradients',
    got: `${cause} in step ${step + 1}`,
    fix: 'the state before this step is kept and saved; resume with a smaller optimizer.learningRate, or look at the pictures of this step',
    details: { step: step + 1, parts, gradients: gradients.slice(0, 10) },
  });
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;

/**
 * Trains from the run's checkpoint, or from the start, to the end: compile the step once, then load a batch, run, log,
 * save, over and over. What happens in a step is in {@link distillationStep} and {@link maskedDistillationStep}.
 *
 * @throws SslError `NON_FINITE` (the last good state is saved first), `INTERRUPTED` (after saving), `TOO_MANY_BAD_FILES`
 * (after saving),
 * `CHECKPOINT_MISMATCH`, `BAD_OPTION`, and those of the engine (they name the checkpoint that stands)
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { config, dataset, engine, run, signal, onNote = () => undefined } = options;
  const began = performance.now();
  const length = checkRun(config, dataset.size);
  const recipe = recipeOf(config);
  const schedule = recipe.schedule(length);
  const startStep = run?.checkpoint?.manifest?.step ?? 0;
  const warning = collapseWarning(config);
  if (warning !== undefined) onNote(`warning: ${warning}`);

  const loader = await createLoader({
    recipe,
    dataset,
    startStep,
    workers: options.workers ?? 1,
    ...(run === undefined ? {} : { knownBad: await badFileNames(run) }),
    onBadFile: (file) => {
      run?.logBadFile({ ...file });
      options.onBadFile?.(file);
    },
  });
  const prepared = await prepareAndDraw(recipe, engine, startStep === 0).catch(async (problem: unknown) => {
    await loader.close();
    throw problem;
  });
  const { training } = prepared;
  let probe: Probe | undefined;
  let probeSeconds = 0;
  const timed = async <T>(work: Promise<T>): Promise<T> => {
    const since = performance.now();
    const result = await work;
    probeSeconds += (performance.now() - since) / 1000;
    return result;
  };
  const { state } = recipe;
  const { store } = training;
  /** Read tensor by tensor while it is written, so that a checkpoint needs no second copy of the state. */
  const stored = Object.fromEntries(
    Object.entries(state).map(([name, spec]) => [
      name,
      { ...spec, read: async () => (await store.read([name]))[name] } satisfies DeferredTensor,
    ]),
  );
  const kept = async (prefixes: readonly string[]): Promise<Record<string, HostTensor>> => {
    const tensors: Record<string, HostTensor> = {};
    for (const [name, spec] of Object.entries(state)) {
      if (prefixes.some((prefix) => name.startsWith(prefix)))
        tensors[name] = { ...spec, data: await stored[name].read() };
    }
    return tensors;
  };
  let savedStep = startStep;
  const save = async (step: number): Promise<void> => {
    await run?.save({ step, seed: config.seed, state: stored });
    savedStep = step;
  };

  try {
    await store.load({ ...options.frozen });
    await store.load(
      startStep > 0 && run !== undefined ? await storedState(run, state) : { ...prepared.drawn, ...options.initial },
    );
    prepared.drawn = undefined; // not kept while training
    if (options.probe !== undefined && isRunTooShort(recipe, options.probe, length.totalSteps)) {
      onNote(
        `no probe: it would take more than 3 % of ${length.totalSteps} steps (--probe-every ${length.totalSteps}: at the end)`,
      );
    } else if (options.probe !== undefined) {
      probe = await timed(openProbe(engine, store, recipe, options.probe));
      if (probe !== undefined) onNote(probeNote(probe));
    }
    options.onStart?.({ ...length, startStep });
    const seconds: number[] = [];
    let last: { record: HostArrays; loss: number } | undefined;
    let firstStepSeconds = 0;
    let accuracy: ProbeAccuracy | undefined;
    let sinceRecord = performance.now();
    let stepsSinceRecord = 0;
    let alarmed = false;
    /** A batch, sent to the device as soon as it is there: while the step before it runs. */
    const upcoming = (): Promise<LoadedBatch> => {
      const batch = loader.next();
      batch.then(({ arrays }) => training.prepare(arrays)).catch(() => undefined); // the step that takes it will say
      return batch;
    };
    let next = upcoming();
    for (let step = startStep; step < length.totalSteps; step++) {
      const stepBegan = performance.now();
      const { arrays } = await next.catch(async (problem: unknown) => {
        if (step > startStep) await save(step);
        throw problem;
      });
      const running = training.run({ ...arrays, ...schedule.scalars(step) });
      if (step + 1 < length.totalSteps) next = upcoming();
      const metrics = await running.catch((problem: unknown) => {
        throw failedStep(problem, step + 1, savedStep, run);
      });
      seconds.push((performance.now() - stepBegan) / 1000);
      if (step === startStep) firstStepSeconds = (performance.now() - began) / 1000;
      if (metrics[FINITE][0] === 0) {
        await save(step);
        throw nonFinite(step, metrics, partNames(metrics), recipe.gradientNames);
      }
      const done = step + 1;
      last = { record: metrics, loss: metrics['loss'][0] };
      options.onStep?.(done, last.loss);
      stepsSinceRecord++;
      const isLast = done === length.totalSteps;
      const now = performance.now();
      const measured =
        probe !== undefined && (done % probe.everySteps === 0 || isLast) ? await timed(probe.measure()) : undefined;
      accuracy = measured ?? accuracy;
      if (done % config.log.everySteps === 0 || isLast || step === startStep || measured !== undefined) {
        const imagesPerSecond = (config.batchSize * stepsSinceRecord) / ((now - sinceRecord) / 1000);
        const record = {
          ...logRecord(config, done, metrics, schedule.learningRate(step), imagesPerSecond),
          ...measured,
        };
        sinceRecord = now;
        stepsSinceRecord = 0;
        run?.logMetrics({ ...record });
        options.onRecord?.(record);
        const alarm = done > length.warmupSteps ? collapseAlarm(record) : undefined;
        if (alarm !== undefined && !alarmed) onNote(`alarm at step ${done}: ${alarm}`);
        alarmed = alarm !== undefined;
      }
      if (options.inspect !== undefined && (done % options.inspect.everySteps === 0 || isLast))
        await options.inspect.look(done, (p) => store.read(p));
      const stopping = signal?.aborted === true;
      if (done % config.log.checkpointEverySteps === 0 || isLast || stopping) await save(done);
      if (stopping && !isLast) throw interrupted(done, run);
    }
    const secondsPerStep = median(seconds);
    return {
      steps: length.totalSteps,
      loss: last?.loss ?? NaN,
      parts: last === undefined ? {} : partsOf(last.record),
      secondsPerStep,
      imagesPerSecond: secondsPerStep > 0 ? config.batchSize / secondsPerStep : 0,
      firstStepSeconds,
      ...(accuracy === undefined ? {} : { accuracy }),
      probeSeconds,
      state: await kept(options.keep ?? (run === undefined ? [''] : [])),
    };
  } finally {
    await loader.close();
    await probe?.dispose();
    await training.dispose();
  }
}

const probeNote = ({ everySteps, images: { train, test } }: Probe): string =>
  `probe: accuracy on ${test} held-out pictures, learned from ${train} others, every ${everySteps} steps (--probe-every 0: never)`;

function interrupted(step: number, run: Run | undefined): SslError {
  return new SslError('INTERRUPTED', {
    where: 'recipes.train',
    expected: 'to train to the end',
    got: `an interruption after step ${step}`,
    fix: run === undefined ? 'start again' : `go on with --resume --out ${run.directory}`,
    details: { step },
  });
}

/** Metrics every step has; what else is a scalar is a part of the loss. */
const COMMON_METRICS = new Set(['loss', 'gradientNorms', 'features', 'termGradientNorms', FINITE]);

const partNames = (metrics: HostArrays): string[] => Object.keys(metrics).filter((name) => !COMMON_METRICS.has(name));

const partsOf = (metrics: HostArrays): Record<string, number> =>
  Object.fromEntries(partNames(metrics).map((name) => [name, metrics[name][0]]));

function logRecord(
  config: RecipeConfig,
  step: number,
  metrics: HostArrays,
  learningRate: number,
  imagesPerSecond: number,
): LogRecord {
  const terms = metrics['termGradientNorms'];
  let squares = 0;
  for (const norm of metrics['gradientNorms']) squares += norm * norm;
  return {
    step,
    loss: metrics['loss'][0],
    parts: partsOf(metrics),
    ...(terms === undefined ? {} : { gradientRatio: terms[0] / terms[1] }),
    gradientNorm: Math.sqrt(squares),
    learningRate,
    ...featureReport(config, metrics['features'] as Float32Array),
    memoryBytes: process.resourceUsage().maxRSS * 1024,
    imagesPerSecond,
  };
}
