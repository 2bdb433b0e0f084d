import { type HostTensor, type Rng, SslError } from '@selfsup/core';
import type { VitConfig } from './config.js';
import { namedStreams } from './streams.js';

/** The two residual branches of a block, in the order of the first axis of masks and subsets. */
export type Branch = 'attention' | 'mlp';

export const BRANCHES: readonly Branch[] = ['attention', 'mlp'];

/** Rate of stochastic depth of each block, float64 (DINO `VisionTransformer.__init__`; rule of the configuration). */
export function dropPathRates({ depth, dropPathRate, dropPathRule }: VitConfig): number[] {
  const blocks = Array.from({ length: depth }, (_, l) => l);
  if (dropPathRule === 'uniform') return blocks.map(() => dropPathRate);
  if (depth === 1) return [0];
  if (dropPathRule === 'linear') {
    const step = dropPathRate / (depth - 1);
    return blocks.map((l) => (l === depth - 1 ? dropPathRate : l * step));
  }
  // torch.linspace: single precision, from either end to the middle.
  const end = Math.fround(dropPathRate);
  const step = Math.fround(end / (depth - 1));
  return blocks.map((l) =>
    l < Math.floor(depth / 2) ? Math.fround(step * l) : Math.fround(end - Math.fround(step * (depth - 1 - l))),
  );
}

/** Names and rates of the blocks that drop anything. */
export function droppingBlocks(config: VitConfig): { name: string; index: number; rate: number }[] {
  return dropPathRates(config)
    .map((rate, index) => ({ name: `blocks.${index}`, index, rate }))
    .filter(({ rate }) => rate > 0);
}

/**
 * Draws per-sample keep masks, each sample and branch by itself with probability 1 - rate.
 *
 * @param rows - rows of the batch the masks are for
 * @returns `blocks.N` -> `[2, rows]` float32 of 0 and 1, for the blocks whose rate is above 0
 */
export function drawKeepMasks(config: VitConfig, rng: Rng, rows: number): Record<string, HostTensor> {
  const streams = namedStreams(rng);
  return Object.fromEntries(
    droppingBlocks(config).map(({ name, index, rate }): [string, HostTensor] => {
      const data = BRANCHES.flatMap((_, branch) => {
        const stream = streams('drop-path', index, branch);
        return Array.from({ length: rows }, () => (stream.chance(rate) ? 0 : 1));
      });
      return [name, { shape: [2, rows], dtype: 'f32', data: Float32Array.from(data) }];
    }),
  );
}

/** Which rows a set of crops has: row = crop * images + image. */
export interface CropRows {
  readonly crops: number;
  readonly images: number;
  /** Virtual ranks: every run of `images / groups` images draws its own subset. Default 1. */
  readonly groups?: number;
}

/** k = max(trunc(b (1 - rate)), 1), rows computed of b (DINOv2 `drop_add_residual_stochastic_depth`). */
export function subsetSize(rows: number, rate: number): number {
  return Math.max(Math.trunc(rows * (1 - rate)), 1);
}

/**
 * Draws batch subsets: for every block, branch and group k of its b = crops * images / groups rows, all equally likely.
 *
 * @returns `blocks.N` -> `[2, groups * k]` int32, for the blocks whose rate is above 0
 * @throws SslError `BAD_OPTION` if the images cannot be split into the groups
 */
export function drawSubsets(
  config: VitConfig,
  rng: Rng,
  { crops, images, groups = 1 }: CropRows,
): Record<string, HostTensor> {
  if (images % groups !== 0) {
    throw new SslError('BAD_OPTION', {
      where: 'backbone-vit.drawSubsets',
      expected: `images divisible by groups = ${groups}`,
      got: `${images}`,
      fix: 'choose a batch size that is a multiple of groups',
      details: { images, groups },
    });
  }
  const streams = namedStreams(rng);
  const own = images / groups;
  return Object.fromEntries(
    droppingBlocks(config).map(({ name, index, rate }): [string, HostTensor] => {
      const k = subsetSize(crops * own, rate);
      const rows = BRANCHES.flatMap((_, branch) => {
        const stream = streams('drop-path', index, branch);
        return Array.from({ length: groups }, (_, group) =>
          Array.from(stream.permutation(crops * own).subarray(0, k), (row) => {
            const crop = Math.floor(row / own);
            return crop * images + group * own + (row % own);
          }),
        ).flat();
      });
      return [name, { shape: [2, groups * k], dtype: 'i32', data: Int32Array.from(rows) }];
    }),
  );
}
