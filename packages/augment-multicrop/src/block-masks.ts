import { Rng, SslError } from '@selfsup/core';
import { drawBlockMask, type BlockShape } from './block-mask.js';
import { checkInteger, checkInterval, checkNumber } from './checks.js';

/** Masks of the global views of a batch; defaults are DINOv2's. */
export interface BlockMaskOptions {
  /** Patches per side, or down and across. */
  readonly grid: number | readonly [height: number, width: number];
  /** Pictures in the batch, B. */
  readonly images: number;
  /** Global views per picture; default 2. */
  readonly globalViews?: number;
  /** Virtual ranks, each with masks of its own; must divide `images`. Default 1. */
  readonly groups?: number;
  /** Share of the views that get a mask; default 0.5. */
  readonly probability?: number;
  /** Share of the patches that is masked, from the lightest to the heaviest mask; default [0.1, 0.5]. */
  readonly ratio?: readonly [number, number];
  /** Default 4. */
  readonly minPatches?: number;
  /** Default: half the grid, rounded down to whole rows. */
  readonly maxPatches?: number;
  /** Default 0.3. */
  readonly minAspect?: number;
}

/** Masks of a batch. */
export interface BlockMasks {
  /** 0/1, u8 `[globalViews * images, patches]`; row = view * images + image, as in a `CropBatch`. */
  readonly masks: Uint8Array;
  /** Patches wanted masked per row, 0 where no mask was meant. */
  readonly targets: Int32Array;
}

interface Plan extends BlockShape {
  readonly images: number;
  readonly views: number;
  readonly groups: number;
  /** Views of one group and how many of them get masks. */
  readonly perGroup: number;
  readonly masked: number;
  /** `masked + 1` shares: mask i lies between entries i and i + 1. */
  readonly ladder: Float32Array;
}

/**
 * torch.linspace in float32: from the low end in the first half, from the high end in the second, each entry rounded
 * once (a fused multiply-add, exact in float64). A last bit more or less moves a share of whole patches by one.
 */
function ladderOf([low, high]: readonly [number, number], steps: number): Float32Array {
  const f = Math.fround;
  const step = steps === 0 ? 0 : f(f(f(high) - f(low)) / steps);
  const half = Math.floor((steps + 1) / 2);
  return Float32Array.from({ length: steps + 1 }, (_, i) =>
    i < half ? f(low) + step * i : f(high) - step * (steps - i),
  );
}

function planOf(where: string, options: BlockMaskOptions): Plan {
  const { images, globalViews = 2, groups = 1, probability = 0.5, ratio = [0.1, 0.5], minAspect = 0.3 } = options;
  const { grid: given, minPatches = 4 } = options;
  const grid = typeof given === 'number' ? ([given, given] as const) : given;
  checkInteger(where, 'grid height', grid[0], 1);
  checkInteger(where, 'grid width', grid[1], 1);
  const { maxPatches = Math.floor(grid[0] / 2) * grid[1] } = options;
  checkInteger(where, 'images', images, 1);
  checkInteger(where, 'globalViews', globalViews, 1);
  checkInteger(where, 'groups', groups, 1);
  checkNumber(where, 'probability', probability, 0, 1);
  checkInterval(where, 'ratio', ratio, { least: 0, most: 1 });
  checkNumber(where, 'minPatches', minPatches, 1);
  checkNumber(where, 'maxPatches', maxPatches, 0);
  checkNumber(where, 'minAspect', minAspect, Number.MIN_VALUE, 1);
  if (images % groups !== 0) {
    throw new SslError('BAD_OPTION', {
      where: `augment-multicrop.${where}`,
      expected: 'images divisible by groups',
      got: `${images} images in ${groups} groups`,
      fix: 'choose a batch size that is a multiple of the number of groups',
      details: { images, groups },
    });
  }
  const perGroup = (globalViews * images) / groups;
  const masked = Math.floor(perGroup * probability);
  const ladder = ladderOf(ratio, masked);
  return { grid, minPatches, maxPatches, minAspect, images, views: globalViews, groups, perGroup, masked, ladder };
}

/** Rows of a group in order: view by view, within a view its pictures. */
function rowOf(images: number, groups: number, group: number, position: number): number {
  const each = images / groups;
  return Math.floor(position / each) * images + group * each + (position % each);
}

/**
 * Draws the masks of one step as DINOv2's collate function does per process: a fixed share of the views is masked, their
 * ratios are spread evenly over the range, and the masks are shuffled over the views.
 *
 * @param key - Seed and step; nothing else is drawn from, so masks do not depend on devices or accumulation.
 * @throws SslError `BAD_OPTION` on a grid below 1, a ratio outside 0..1 or with its ends swapped, groups that do not
 * divide the images
 */
export function drawBlockMasks(
  options: BlockMaskOptions,
  { seed, step }: { readonly seed: number; readonly step: number },
): BlockMasks {
  checkInteger('drawBlockMasks', 'seed', seed, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  checkInteger('drawBlockMasks', 'step', step, 0, 0xffffffff);
  const plan = planOf('drawBlockMasks', options);
  const f = Math.fround;
  const patches = plan.grid[0] * plan.grid[1];
  const masks = new Uint8Array(plan.views * plan.images * patches);
  const targets = new Int32Array(plan.views * plan.images);
  for (let group = 0; group < plan.groups; group++) {
    const rng = Rng.of(seed, 'augment.block-masks', step, group);
    const places = rng.permutation(plan.perGroup);
    for (let i = 0; i < plan.masked; i++) {
      const [low, high] = [plan.ladder[i], plan.ladder[i + 1]];
      const target = Math.trunc(f(patches * f(low + f(f(high - low) * rng.uniform()))));
      const row = rowOf(plan.images, plan.groups, group, places[i]);
      targets[row] = target;
      masks.set(drawBlockMask(rng, target, plan).mask, row * patches);
    }
  }
  return { masks, targets };
}

/**
 * Most patches that the masks of one group can hold together, for arrays of fixed shape.
 *
 * @param views - of so many of its views, 0 or more; left out: of all
 * @throws SslError `BAD_OPTION` as {@link drawBlockMasks}
 */
export function maskedTokenBound(options: BlockMaskOptions, views?: number): number {
  const { grid, ladder } = planOf('maskedTokenBound', options);
  if (views !== undefined) checkInteger('maskedTokenBound', 'views', views, 0);
  const patches = grid[0] * grid[1];
  const masks = ladder.slice(1);
  // The ladder ascends: the largest masks are the last.
  return masks
    .slice(Math.max(0, masks.length - (views ?? masks.length)))
    .reduce((sum, share) => sum + Math.trunc(Math.fround(patches * share)), 0);
}
