import { multiCropConfig } from '@selfsup/augment-multicrop';
import { vitConfig } from '@selfsup/backbone-vit';
import { SslError } from '@selfsup/core';
import type { TeacherPolicy } from '@selfsup/ema-distill';
import type { RecipeConfig, SecondGenerationConfig } from './types.js';

const refusal = (where: string, expected: string, got: unknown, fix: string): SslError =>
  new SslError('BAD_OPTION', { where, expected, got: String(got), fix, details: { expected, got: String(got) } });

/**
 * What depends on several settings.
 *
 * @throws SslError `BAD_OPTION`
 */
export function checkConfig(where: string, config: RecipeConfig): void {
  const refuse = (expected: string, got: string, fix: string): never => {
    throw refusal(where, expected, got, fix);
  };
  const { batchSize, groups, accumulate, backbone, crops, arch } = config;
  if (batchSize % groups !== 0) {
    refuse(
      `batchSize divisible by groups (${groups})`,
      `${batchSize}`,
      `use --batch-size ${Math.max(1, Math.round(batchSize / groups)) * groups} or --groups 1`,
    );
  }
  if (batchSize % accumulate !== 0) {
    refuse(
      `batchSize divisible by accumulate (${accumulate})`,
      `${batchSize}`,
      'use an --accumulate that divides --batch-size',
    );
  }
  multiCropConfig(crops);
  if (crops.global.views.length !== 2)
    refuse('two global views', `${crops.global.views.length}`, 'list two entries in crops.global.views');
  const full = vitConfig(arch, backbone);
  if (crops.global.size !== full.imageSize) {
    refuse(
      `crops.global.size equal to backbone.imageSize (${full.imageSize})`,
      `${crops.global.size}`,
      'set both, e.g. --set crops.global.size=224 --set backbone.imageSize=224',
    );
  }
  for (const [name, size] of [
    ['global', crops.global.size],
    ...(crops.local.count > 0 ? [['local', crops.local.size]] : []),
  ] as [string, number][]) {
    if (size % full.patchSize !== 0) {
      refuse(
        `crops.${name}.size divisible by backbone.patchSize (${full.patchSize})`,
        `${size}`,
        `use ${Math.max(1, Math.round(size / full.patchSize)) * full.patchSize}`,
      );
    }
  }
  const { everySteps, images } = config.probe;
  if (everySteps !== 'auto' && !(Number.isInteger(everySteps) && everySteps >= 0))
    refuse(
      'probe.everySteps "auto", or a whole number of steps (0: never)',
      `${everySteps}`,
      'leave --probe-every out',
    );
  if (!Number.isInteger(images) || images < 3)
    refuse('probe.images of at least 3', `${images}`, 'leave --probe-images out, or turn it off with --probe-every 0');
  if (config.recipe === 'distill') {
    const { clsWeight, patchWeight } = config.loss;
    if (clsWeight + patchWeight === 0) refuse('loss.clsWeight or loss.patchWeight above 0', '0, 0', 'use 1, 1');
    return;
  }
  if ('masks' in config) checkMasks(where, config);
  if (!(POLICIES as readonly string[]).includes(config.teacher.policy))
    refuse(`teacher.policy ${POLICIES.join(', ')}`, config.teacher.policy, 'use ema');
  // Cross entropies take targets as constants, and parts of a step know the targets of the others as numbers only.
  if (config.teacher.policy === 'none' && (config.recipe === 'dino' || accumulate > 1))
    refuse(
      'teacher.policy "none" with SimDINO in one part only',
      `${config.recipe}, accumulate ${accumulate}`,
      'use student-stopgrad',
    );
}

const POLICIES: readonly TeacherPolicy[] = ['ema', 'student-stopgrad', 'none'];

/** Blocks are smaller than the grid and have four patches or more. */
const SMALLEST_MASKED_GRID = 3;

function checkMasks(where: string, config: SecondGenerationConfig): void {
  const refuse = (key: string, expected: string, got: unknown, fix: string): never => {
    throw new SslError('BAD_OPTION', {
      where,
      expected: `${key} ${expected}`,
      got: JSON.stringify(got),
      fix,
      details: { key, value: got },
    });
  };
  const share = (value: unknown): boolean => typeof value === 'number' && value >= 0 && value <= 1;
  const { masks, batchSize, groups, teacher } = config;
  if (!share(masks.probability)) refuse('masks.probability', 'in 0..1', masks.probability, 'use 0.5 as published');
  if (masks.ratio.length !== 2 || !masks.ratio.every(share) || masks.ratio[0] > masks.ratio[1]) {
    refuse('masks.ratio', 'as two shares in 0..1, the smaller first', masks.ratio, 'use [0.1, 0.5] as published');
  }
  const { imageSize, patchSize } = vitConfig(config.arch, config.backbone);
  const grid = Math.floor(imageSize / patchSize);
  if (masks.probability > 0 && grid < SMALLEST_MASKED_GRID) {
    refuse(
      'backbone.imageSize',
      `of at least ${SMALLEST_MASKED_GRID} x ${SMALLEST_MASKED_GRID} patches of ${patchSize}, for blocks of masked ones`,
      imageSize,
      `use images of ${SMALLEST_MASKED_GRID * patchSize} pixels, smaller patches, or --set masks.probability=0`,
    );
  }
  if (teacher.policy === 'none')
    refuse('teacher.policy', 'ema or student-stopgrad', teacher.policy, 'use ema as published');
  if (config.recipe !== 'dinov2') return;
  const { targets, koleoWeight } = config.loss;
  if (!['centering', 'sinkhorn-knopp'].includes(targets))
    refuse('loss.targets', 'centering or sinkhorn-knopp', targets, 'use centering');
  if (koleoWeight !== 0 && batchSize / groups < 2) {
    refuse(
      'batchSize',
      'of at least two images in each group: KoLeo looks for neighbours',
      batchSize,
      'use a larger --batch-size, fewer --groups, or --set loss.koleoWeight=0',
    );
  }
}
