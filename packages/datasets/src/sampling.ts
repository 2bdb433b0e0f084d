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
  /** `[batchSize]` indices into the data set. */
  readonly indices: Uint32Array;
  /** `[batchSize]` how often the data set was gone through before, for each of them; no pair (index, epoch) comes twice. */
  readonly epochs: Uint32Array;
}

/** Which samples belong to which step. */
export interface Sampler {
  /** Whole batches in the data set. */
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

function checkBatchSize(where: string, { size, batchSize }: SamplerOptions): void {
  if (Number.isInteger(batchSize) && batchSize >= 1 && batchSize <= size) return;
  throw new SslError('BAD_OPTION', {
    where: `datasets.${where}`,
    expected: `a batch size from 1 to the ${size} images of the data set`,
    got: `${batchSize}`,
    fix: `use a batch size of at most ${size}, or more images`,
    details: { batchSize, size },
  });
}

/**
 * Batches by step number: a fresh shuffle per epoch, the incomplete last batch dropped (DINO's sampler). The batch of a
 * step is a pure function of (seed, step), so resuming needs no saved state; only the order of the current epoch is
 * kept, for speed.
 *
 * @throws SslError `BAD_OPTION` where the batch is larger than the data set or not a positive integer
 *
 * @example
 * const sampler = createSampler({ size: dataset.size, batchSize: 64, seed: 0 });
 * const { indices, epochs } = sampler.at(step);
 */
export function createSampler(options: SamplerOptions): Sampler {
  const { size, batchSize, seed } = options;
  checkBatchSize('createSampler', options);
  const stepsPerEpoch = Math.floor(size / batchSize);
  let current: { readonly epoch: number; readonly order: Uint32Array } | undefined;
  return {
    stepsPerEpoch,
    at(step) {
      const epoch = Math.floor(step / stepsPerEpoch);
      if (current?.epoch !== epoch) current = { epoch, order: sampleOrder(seed, epoch, size) };
      const start = (step % stepsPerEpoch) * batchSize;
      return {
        indices: current.order.slice(start, start + batchSize),
        epochs: new Uint32Array(batchSize).fill(epoch),
      };
    },
  };
}

/** What {@link createShardedSampler} depends on. */
export interface ShardedSamplerOptions extends SamplerOptions {
  /** Shards; the batch is theirs in turn, equal parts, in one piece each. */
  readonly shards: number;
}

/**
 * Batches as DINOv2 draws them: the data set is shuffled and dealt out to the shards once and for all, every shard is
 * shuffled anew each time it has been gone through, and nothing is dropped. So a shard (a process of the published runs, a
 * group here) sees the same 1/shards of the data for ever. Pure in (seed, step) like {@link createSampler}.
 *
 * @throws SslError `BAD_OPTION` where the batch is larger than the data set, or the shards don't divide it
 */
export function createShardedSampler(options: ShardedSamplerOptions): Sampler {
  const { size, batchSize, seed, shards } = options;
  checkBatchSize('createShardedSampler', options);
  if (!Number.isInteger(shards) || shards < 1 || batchSize % shards !== 0) {
    throw new SslError('BAD_OPTION', {
      where: 'datasets.createShardedSampler',
      expected: `a number of shards that divides the batch of ${batchSize}`,
      got: `${shards}`,
      fix: 'use 1, or another divisor',
      details: { batchSize, shards },
    });
  }
  const dealt = Rng.of(seed, 'shards').permutation(size);
  const share = batchSize / shards;
  const lengthOf = (shard: number): number => Math.ceil((size - shard) / shards);
  const current: { pass: number; order: Uint32Array }[] = [];
  const orderOf = (shard: number, pass: number): Uint32Array => {
    if (current[shard]?.pass !== pass)
      current[shard] = { pass, order: Rng.of(seed, 'shard-order', pass, shard).permutation(lengthOf(shard)) };
    return current[shard].order;
  };
  return {
    stepsPerEpoch: Math.floor(size / batchSize),
    at(step) {
      const indices = new Uint32Array(batchSize);
      const epochs = new Uint32Array(batchSize);
      for (let row = 0; row < batchSize; row++) {
        const shard = Math.floor(row / share);
        const position = step * share + (row % share);
        const pass = Math.floor(position / lengthOf(shard));
        indices[row] = dealt[shard + shards * orderOf(shard, pass)[position % lengthOf(shard)]];
        epochs[row] = pass;
      }
      return { indices, epochs };
    },
  };
}

/** The batch of one step; {@link createSampler} is cheaper for many steps and says more. */
export function batchAt(step: number, batchSize: number, size: number, seed: number): SampledBatch {
  return createSampler({ size, batchSize, seed }).at(step);
}
