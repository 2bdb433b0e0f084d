// What `selfsup train --engine xla --devices N` does, from its public pieces.
import { openRun } from '@selfsup/checkpoint';
import type { Dataset } from '@selfsup/datasets';
import { type XlaOptions, xlaEngine } from '@selfsup/engine-xla';
import { type RecipeConfig, train, trainingStateSpecs, type TrainOptions, type TrainResult } from '@selfsup/recipes';

export interface DeviceTraining extends Pick<TrainOptions, 'onNote' | 'onRecord' | 'workers'> {
  readonly config: RecipeConfig;
  readonly dataset: Dataset;
  /** Plugin, devices, whether the state is split over them too, and the like. */
  readonly engine: XlaOptions;
  /** Run directory. */
  readonly out: string;
  /** Go on from the last checkpoint in `out`. */
  readonly resume?: boolean;
}

/**
 * Trains on one device or several. The batch is split over the devices; losses and weights do not depend on their number,
 * since statistics are taken per group (`config.groups`), wherever its images are.
 */
export async function trainOnDevices({
  engine: options,
  out,
  resume,
  ...training
}: DeviceTraining): Promise<TrainResult> {
  const engine = await xlaEngine(options);
  try {
    training.onNote?.(
      `on ${engine
        .devices()
        .map(({ name }) => name)
        .join(', ')}`,
    );
    const run = await openRun(out, {
      config: { ...training.config },
      resume: resume === true,
      state: trainingStateSpecs(training.config),
    });
    try {
      return await train({ ...training, engine, run });
    } finally {
      await run.close();
    }
  } finally {
    await engine.dispose();
  }
}
