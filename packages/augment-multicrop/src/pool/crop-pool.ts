import { SslError } from '@selfsup/core';
import { checkInteger } from '../checks.js';
import { resolveViews, type MultiCropConfig } from '../config.js';
import { checkSampleKey } from '../draw-view.js';
import { allocateCrops, checkBatch, type CropBatch } from '../multi-crop.js';
import {
  describeSource,
  runCropTask,
  type CropError,
  type CropOutcome,
  type CropTask,
  type PoolSetup,
} from './crop-task.js';

/** Options of {@link createCropPool}. */
export interface CropPoolOptions {
  /**
   * ES module that exports `decode(source: unknown): RgbImage | Promise<RgbImage>`: a URL, or an absolute path. It is
   * imported in every worker. Sources are whatever can be cloned to another thread, e.g. paths.
   */
  readonly decoder: URL | string;
  readonly config: MultiCropConfig;
  /** Any safe integer. */
  readonly seed: number;
  /** Worker threads; 0 decodes and augments on the calling thread (browsers, tests) with the same results. */
  readonly threads: number;
}

/** Where the views of a picture go. */
export interface CropTarget {
  /** From `allocateCrops`. */
  readonly batch: CropBatch;
  /** Index of the picture in the batch. */
  readonly index: number;
}

/** The views, or why there are none. */
export type CropResult =
  { readonly crops: CropBatch; readonly error?: undefined } | { readonly crops?: undefined; readonly error: CropError };

/** Decodes and augments pictures on worker threads. */
export interface CropPool {
  readonly threads: number;
  /**
   * Decodes a source and writes its views into rows of a batch in shared memory (row = view * images + index); without
   * a target into a fresh batch of one. Tasks beyond the number of threads wait in order.
   *
   * @returns the batch; or the error of a picture that could not be read, its rows then being undefined
   * @throws SslError `BAD_OPTION` on a decoder that cannot be loaded or a pool that is closed, `SHAPE_MISMATCH` on a
   * batch of another configuration, `WORKER_DIED` or `OUT_OF_MEMORY` when the worker died; the pool then goes on with
   * a new one. (A crash of native code in a decoder takes the whole process with it.)
   */
  crops(
    source: unknown,
    key: { readonly epoch: number; readonly sample: number },
    target?: CropTarget,
  ): Promise<CropResult>;
  /** Waits for pictures under way, then ends the workers. May be called again. */
  close(): Promise<void>;
}

type Run = (task: CropTask) => Promise<CropOutcome>;

async function decoderAddress(decoder: URL | string): Promise<string> {
  if (decoder instanceof URL) return decoder.href;
  // A letter and a colon begin a Windows path, more letters the scheme of a URL.
  if (/^[a-z][a-z\d+.-]+:/i.test(decoder)) return decoder;
  const { isAbsolute } = await import('node:path');
  if (isAbsolute(decoder)) return (await import('node:url')).pathToFileURL(decoder).href;
  throw new SslError('BAD_OPTION', {
    where: 'augment-multicrop.createCropPool',
    expected: 'decoder as a URL or an absolute path',
    got: `"${decoder}"`,
    fix: 'pass new URL("./decoder.js", import.meta.url)',
    details: { decoder },
  });
}

/** The worker runs what was built, also for a pool that runs from its source, whose import condition it must not get. */
function workerOptions(): { filename: string; execArgv?: string[] } {
  const here = import.meta.url;
  if (!here.endsWith('.ts')) return { filename: new URL('../worker.cjs', here).href };
  return { filename: new URL('../../worker.cjs', here).href, execArgv: [] };
}

function workerDied(source: unknown, cause: unknown): SslError {
  const text = cause instanceof Error ? cause.message : String(cause);
  const outOfMemory = cause instanceof Error && 'code' in cause && cause.code === 'ERR_WORKER_OUT_OF_MEMORY';
  return new SslError(outOfMemory ? 'OUT_OF_MEMORY' : 'WORKER_DIED', {
    where: 'augment-multicrop.crops',
    expected: `a worker that decodes ${describeSource(source)}`,
    got: `a worker that died (${text})`,
    fix: outOfMemory ? 'leave that picture out or use fewer threads' : 'leave that picture out or look at its decoder',
    details: { source: describeSource(source) },
    cause,
  });
}

/** Workers kept by piscina, a pool that people of the Node core team maintain. */
async function startWorkers(setup: PoolSetup, threads: number): Promise<{ run: Run; end: () => Promise<void> }> {
  const { Piscina } = await import('piscina');
  const workers = new Piscina<CropTask, CropOutcome>({
    ...workerOptions(),
    workerData: setup,
    minThreads: threads,
    maxThreads: threads,
    idleTimeout: Infinity,
  });
  let failure: unknown;
  const noteFailure = (cause: unknown): void => {
    // Piscina replaces a worker that dies, except while it starts: then nobody is left and waiting tasks would hang.
    if (failure !== undefined || workers.threads.length > 0) return;
    failure = cause;
    void workers.destroy();
  };
  workers.on('error', noteFailure);
  return {
    async run(task) {
      if (failure !== undefined) throw workerDied(task.source, failure);
      try {
        return await workers.run(task);
      } catch (cause) {
        noteFailure(cause);
        throw workerDied(task.source, failure ?? cause);
      }
    },
    end: () => workers.destroy(),
  };
}

/**
 * Makes a pool of worker threads that decode and augment pictures into shared memory, so that neither runs on the main
 * thread and no pixel is copied between threads. Results do not depend on the number of threads.
 *
 * @throws SslError `BAD_OPTION` on a negative number of threads, a relative decoder or a configuration out of range
 *
 * @example
 * const pool = await createCropPool({ decoder: new URL('./decoder.js', import.meta.url), config, seed: 0, threads: 2 });
 * const batch = allocateCrops(config, files.length);
 * const results = await Promise.all(
 *   files.map((file, index) => pool.crops(file, { epoch: 0, sample: index }, { batch, index })),
 * );
 * await pool.close();
 */
export async function createCropPool({ decoder, config, seed, threads }: CropPoolOptions): Promise<CropPool> {
  checkInteger('createCropPool', 'threads', threads, 0);
  checkSampleKey('createCropPool', { seed, epoch: 0, sample: 0 });
  const setup: PoolSetup = { decoder: await decoderAddress(decoder), views: resolveViews(config) };
  const { run, end } =
    threads === 0
      ? { run: (task: CropTask) => runCropTask(setup, task), end: () => Promise.resolve() }
      : await startWorkers(setup, threads);
  const underWay = new Set<Promise<unknown>>();
  let closing: Promise<void> | undefined;

  async function crops(
    source: unknown,
    { epoch, sample }: { readonly epoch: number; readonly sample: number },
    target: CropTarget = { batch: allocateCrops(config, 1), index: 0 },
  ): Promise<CropResult> {
    if (closing !== undefined) {
      throw new SslError('BAD_OPTION', {
        where: 'augment-multicrop.crops',
        expected: 'an open pool',
        got: 'one that was closed',
        fix: 'close the pool after the last picture',
      });
    }
    const key = { seed, epoch, sample };
    checkSampleKey('crops', key);
    checkBatch('crops', target.batch, setup.views, target.index);
    const running = run({ source, key, batch: target.batch, index: target.index });
    underWay.add(running);
    try {
      const { error, fatal } = await running;
      if (fatal !== undefined) throw new SslError('BAD_OPTION', fatal);
      return error === undefined ? { crops: target.batch } : { error };
    } finally {
      underWay.delete(running);
    }
  }

  return {
    threads,
    crops,
    close: () => (closing ??= Promise.allSettled(underWay).then(end)),
  };
}
