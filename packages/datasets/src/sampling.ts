import { Rng, SslError } from '@selfsup/core';

/**
 * The order in which an epoch visits a data set: a random permutation of 0..size-1 that depends on nothing but its
 * arguments (DINO's sampler: the whole set is shuffled anew each epoch).
 */
export function sampleOrder(seed: number, epoch: number, size: number): Uint32Array {
  return Rng.of(seed, 'sample-order', epoch).permutation(size);
}

/** The samples of one step. */
export interface SampledBatch {
  /** `[batchSize]` indices into the data set, all different. */
  readonly indices: Uint32Array;
  /** Epoch the step belongs to, from 0. */
  readonly epoch: number;
}

/** Which samples belong to which step. */
export interface Sampler {
  /** Steps per epoch; the remainder that fills no batch is dropped. */
  readonly stepsPerEpoch: number;
  /** The batch of a step, counted from 0. */
  at(step: number): SampledBatch;
}

/** What a {@link Sampler} depends on. */
export interface SamplerOptions {
  /** Number of samples in the data set. */
  readonly size: number;
  readonly batchSize: number;
  readonly seed: number;
}

/**
 * Batches by step number: a fresh shuffle per epoch, the incomplete last batch dropped. The batch of a step is a pure
 * function of (seed, step), so resuming needs no saved state; only the order of the current epoch is kept, for speed.
 *
 * @throws SslError `BAD_OPTION` where the batch is larger than the data set or not a positive integer
 *
 * @example
 * const sampler = createSampler({ size: dataset.size, batchSize: 64, seed: 0 });
 * const { indices, epoch } = sampler.at(step);
 */
export function createSampler(options: SamplerOptions): Sampler {
  const { size, batchSize, seed } = options;
  if (!Number.isInteger(batchSize) || batchSize < 1 || batchSize > size) {
    throw new SslError('BAD_OPTION', {
      where: 'datasets.createSampler',
      expected: `a batch size from 1 to the ${size} images of the data set`,
      got: `${batchSize}`,
      fix: `use a batch size of at most ${size}, or more images`,
      details: { batchSize, size },
    });
  }
  const stepsPerEpoch = Math.floor(size / batchSize);
  let current: { readonly epoch: number; readonly order: Uint32Array } | undefined;
  return {
    stepsPerEpoch,
    at(step) {
      const epoch = Math.floor(step / stepsPerEpoch);
      if (current?.epoch !== epoch) current = { epoch, order: sampleOrder(seed, epoch, size) };
      const start = (step % stepsPerEpoch) * batchSize;
      return { indices: current.order.slice(start, start + batchSize), epoch };
    },
  };
}

/** The batch of one step; {@link createSampler} is cheaper for many steps and says more. */
export function batchAt(step: number, batchSize: number, size: number, seed: number): SampledBatch {
  return createSampler({ size, batchSize, seed }).at(step);
}
