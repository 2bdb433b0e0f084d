import { checkShape, SslError } from '@selfsup/core';
import { withGradient } from '@selfsup/ops';
import * as tf from '@tensorflow/tfjs-core';
import type { VitConfig } from './config.js';
import { BRANCHES, droppingBlocks, type Branch } from './drop-path-draws.js';

/** Batch subset of one block (DINOv2): which rows of the batch the two branches are computed for. */
export interface DropPathSubset {
  /** `[2, k]` int32: rows in 0..B-1, first axis attention and MLP; no row twice except with scale 0. */
  readonly rows: tf.Tensor2D;
  /**
   * `[2, k]` float32: factor of each row's residual, B/k everywhere when left out. A 0 marks a filler row, which lets a
   * part of a batch with fewer chosen rows keep a fixed shape.
   */
  readonly scale?: tf.Tensor2D;
}

/** Stochastic depth as data, by `blocks.N`; at most one of the two, for exactly the blocks whose rate is above 0. */
export interface DropPathOptions {
  /** Per sample (DINO v1): `[2, B]` float32 of 0 and 1; a residual is multiplied by keep / (1 - rate). */
  readonly keep?: Readonly<Record<string, tf.Tensor2D>>;
  /** Per subset of the batch (DINOv2). */
  readonly subsets?: Readonly<Record<string, DropPathSubset>>;
}

/** What one block drops. */
export type BlockDrop =
  | { readonly kind: 'keep'; readonly mask: tf.Tensor2D; readonly keepProbability: number }
  | { readonly kind: 'subset'; readonly subset: DropPathSubset; readonly computed: VitConfig['dropPathRows'] };

/**
 * Checks the options against the configuration and the batch, and hands them out block by block.
 *
 * @throws SslError `BAD_OPTION` if a block has none or a name is unknown, `SHAPE_MISMATCH`
 */
export function blockDrops(
  where: string,
  config: VitConfig,
  rows: number,
  { keep, subsets }: DropPathOptions,
): (BlockDrop | undefined)[] {
  const given = keep ?? subsets;
  if (given === undefined) return [];
  const dropping = droppingBlocks(config);
  const names = dropping.map(({ name }) => name);
  const got = Object.keys(given);
  if ((keep !== undefined && subsets !== undefined) || [...names].sort().join() !== [...got].sort().join()) {
    throw new SslError('BAD_OPTION', {
      where,
      expected: `keep or subsets, one of them, for ${names.length === 0 ? 'no block' : names.join(', ')}`,
      got: keep !== undefined && subsets !== undefined ? 'both' : `${got.length === 0 ? 'none' : got.join(', ')}`,
      fix: 'draw them with drawKeepMasks or drawSubsets of the same configuration, or leave them out to drop nothing',
      details: { expected: names, got },
    });
  }
  const drops: (BlockDrop | undefined)[] = [];
  for (const { name, index, rate } of dropping) {
    if (keep !== undefined) {
      checkShape(where, `keep["${name}"]`, keep[name], [2, rows]);
      drops[index] = { kind: 'keep', mask: keep[name], keepProbability: 1 - rate };
    } else if (subsets !== undefined) {
      const { k } = checkShape(where, `subsets["${name}"].rows`, subsets[name].rows, [2, 'k']);
      const { scale } = subsets[name];
      if (scale !== undefined) checkShape(where, `subsets["${name}"].scale`, scale, [2, k]);
      drops[index] = { kind: 'subset', subset: subsets[name], computed: config.dropPathRows };
    }
  }
  return drops;
}

/** Chosen rows and, for the way back, where each row of the batch stands among them. */
interface RowMap {
  /** `[k]` int32. */
  readonly rows: tf.Tensor1D;
  /** `[k, 1, 1]` factors of the chosen rows. */
  readonly scale: tf.Tensor3D;
  /** `[B]` int32: position among the chosen rows, 0 for the others. */
  readonly positions: tf.Tensor1D;
  /** `[B, 1, 1]`: 1 for chosen rows, 0 for the others. */
  readonly present: tf.Tensor3D;
  /** `[B, 1, 1]`: factor of chosen rows, 0 for the others. */
  readonly rowScale: tf.Tensor3D;
}

function rowMap({ rows, scale }: DropPathSubset, branch: number, batch: number): RowMap {
  const k = rows.shape[1];
  const chosen: tf.Tensor1D = tf.cast(tf.reshape(tf.slice(rows, [branch, 0], [1, k]), [k]), 'int32');
  const factors =
    scale === undefined ? tf.fill([k, 1], batch / k) : tf.reshape(tf.slice(scale, [branch, 0], [1, k]), [k, 1]);
  // [k, B]; tfjs has no one-hot of a single column.
  const named = batch === 1 ? tf.ones([k, 1]) : tf.oneHot(chosen, batch, 1, 0, 'float32');
  // Fillers may repeat a row that is chosen in earnest: they must not count.
  const hits = scale === undefined ? named : tf.mul(named, tf.cast(tf.notEqual(factors, 0), 'float32'));
  const order = tf.tensor2d(
    Float32Array.from({ length: k }, (_, i) => i),
    [k, 1],
  );
  const positions = tf.cast(tf.sum<tf.Tensor1D>(tf.mul(hits, order), 0), 'int32');
  const perRow = (x: tf.Tensor): tf.Tensor3D => tf.reshape(tf.sum(x, 0), [batch, 1, 1]);
  return {
    rows: chosen,
    scale: tf.reshape(factors, [k, 1, 1]),
    positions,
    present: perRow(hits),
    rowScale: perRow(tf.mul(hits, factors)),
  };
}

/**
 * Gathers the chosen rows. Its gradient is a gather too (as is that of {@link putRows}): a scatter would cost a
 * kernel that several backends lack.
 */
function takeRows(x: tf.Tensor3D, map: RowMap): tf.Tensor3D {
  return withGradient<tf.Tensor3D>([x], () => ({
    value: tf.gather(x, map.rows),
    saved: [map.positions, map.present],
    gradient: (dy, [positions, present]) => [tf.mul(tf.gather(dy, positions as tf.Tensor1D), present)],
  }));
}

/** Spreads the chosen rows, times their factors, over a batch of zeros. */
function putRows(y: tf.Tensor3D, map: RowMap): tf.Tensor3D {
  return withGradient<tf.Tensor3D>([y], () => ({
    value: tf.mul(tf.gather(y, map.positions), map.rowScale),
    saved: [map.rows, map.scale],
    gradient: (dy, [rows, scale]) => [tf.mul(tf.gather(dy, rows as tf.Tensor1D), scale)],
  }));
}

/**
 * Adds a residual branch with stochastic depth.
 *
 * @param base - `[B, T', D]`, what the branch is added to
 * @param input - `[B, T, D]`, what the branch is computed from
 * @param residual - rows of `input` to rows of `base`
 */
export function addBranch(
  base: tf.Tensor3D,
  input: tf.Tensor3D,
  residual: (rows: tf.Tensor3D) => tf.Tensor3D,
  branch: Branch,
  drop: BlockDrop | undefined,
): tf.Tensor3D {
  const index = BRANCHES.indexOf(branch);
  const [batch] = base.shape;
  if (drop === undefined) return tf.add(base, residual(input));
  if (drop.kind === 'keep') {
    const kept = tf.reshape(tf.slice(drop.mask, [index, 0], [1, batch]), [batch, 1, 1]);
    return tf.add(base, tf.mul(residual(input), tf.mul(kept, 1 / drop.keepProbability)));
  }
  const map = rowMap(drop.subset, index, batch);
  if (drop.computed === 'all') return tf.add(base, tf.mul(residual(input), map.rowScale));
  return tf.add(base, putRows(residual(takeRows(input, map)), map));
}
