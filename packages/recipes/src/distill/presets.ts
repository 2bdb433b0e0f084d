import { MULTI_CROP_PRESETS } from '@selfsup/augment-multicrop';
import { smallCrops } from '../config/small-crops.js';
import type { DistillConfig, Preset } from '../config/types.js';

const OURS = 'ours, not published';

const { dinov2 } = MULTI_CROP_PRESETS;

/** ViT-S/16 on two views of an image: patches need no small ones. */
const general: DistillConfig = {
  recipe: 'distill',
  preset: 'single-gpu',
  arch: 'vit_small',
  backbone: { imageSize: 224, patchSize: 16, dropPathRate: 0 },
  crops: { ...dinov2, local: { ...dinov2.local, count: 0 } },
  teacher: { path: '', sha256: '', backbone: {} },
  loss: { clsWeight: 1, patchWeight: 1 },
  optimizer: {
    learningRate: 1e-3,
    rule: 'linear-per-256',
    minLearningRate: 1e-6,
    weightDecay: 0.04,
    weightDecayEnd: 0.04,
    clipNorm: 3,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
  },
  length: { epochs: 100, warmupEpochs: 5 },
  batchSize: 64,
  groups: 1,
  accumulate: 1,
  seed: 0,
  log: { everySteps: 10, checkpointEverySteps: 1000, keepCheckpoints: 2 },
  probe: { everySteps: 'auto', images: 1200 },
  maxBadFraction: 0.05,
};

/** Named settings of distillation. */
export const DISTILL_PRESETS: Readonly<Record<string, Preset>> = {
  'cifar-tiny': {
    source: `${OURS}: a student half as wide as the other recipes' cifar-tiny, on 32-pixel pictures`,
    config: {
      ...general,
      preset: 'cifar-tiny',
      arch: 'vit_tiny',
      backbone: { imageSize: 32, patchSize: 8, width: 64, depth: 4, heads: 2, dropPathRate: 0 },
      crops: smallCrops(dinov2, 32, 16, 0, [0.1, 0.4]),
      optimizer: { ...general.optimizer, learningRate: 2e-3, rule: 'none' },
      length: { steps: 2000, warmupSteps: 100 },
      batchSize: 128,
      log: { everySteps: 10, checkpointEverySteps: 100, keepCheckpoints: 2 },
    },
  },
  'single-gpu': {
    source: `${OURS}: a ViT-S/16 student for 1 000 to 100 000 pictures and 32 to 256 of them in a step, on one device`,
    config: general,
  },
};
