import { MULTI_CROP_PRESETS } from '@selfsup/augment-multicrop';
import { VIT_FLAVOURS } from '@selfsup/backbone-vit';
import { smallCrops } from '../config/small-crops.js';
import type { Preset, SimDinoV2Config } from '../config/types.js';

const PUBLISHED = 'SimDINOv2 (Wu et al., ICML 2025)';
const TABLE = "the result table of SimDINO's project page, 100 epochs";
const OURS = 'ours, not published';

/** The authors' recipe file: ViT-L/16 with four registers, 8 processes of 128 images. */
const published: SimDinoV2Config = {
  recipe: 'simdinov2',
  preset: 'imagenet-vitl16',
  arch: 'vit_large',
  backbone: { ...VIT_FLAVOURS.simdinov2, imageSize: 224, patchSize: 16, dropPathRate: 0.2 },
  head: { layers: 3, hiddenWidth: 2048, width: 256 },
  crops: MULTI_CROP_PRESETS.simdinov2,
  masks: { probability: 0.5, ratio: [0.1, 0.5] },
  loss: {
    codingRateEps: 0.05,
    compressionWeight: 1,
    expansionFeatures: 'mean-with-teacher',
    covariance: 'per-group',
    gamma: 'code',
    clsWeight: 1,
    patchWeight: 1,
  },
  teacher: { policy: 'ema', momentum: 0.9, momentumEnd: 1 },
  optimizer: {
    learningRate: 4e-3,
    rule: 'sqrt-per-1024',
    minLearningRate: 1e-6,
    weightDecay: 0.04,
    weightDecayEnd: 0.4,
    clipNorm: 3,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    layerDecay: 0.9,
    patchEmbedMultiplier: 0.2,
  },
  length: { epochs: 100, warmupEpochs: 10 },
  batchSize: 1024,
  groups: 8,
  accumulate: 1,
  seed: 0,
  log: { everySteps: 10, checkpointEverySteps: 1000, keepCheckpoints: 2 },
  probe: { everySteps: 'auto', images: 1200 },
  maxBadFraction: 0.05,
};

/** SimDINOv2's named settings. */
export const SIMDINOV2_PRESETS: Readonly<Record<string, Preset>> = {
  'cifar-tiny': {
    source: `${OURS}: a tiny network on 32-pixel pictures`,
    config: {
      ...published,
      preset: 'cifar-tiny',
      arch: 'vit_tiny',
      backbone: {
        ...VIT_FLAVOURS.simdinov2,
        imageSize: 32,
        patchSize: 8,
        width: 128,
        depth: 4,
        heads: 4,
        dropPathRate: 0,
      },
      head: { layers: 3, hiddenWidth: 512, width: 128 },
      crops: smallCrops(MULTI_CROP_PRESETS.simdinov2, 32, 16, 4, [0.1, 0.4]),
      loss: { ...published.loss, codingRateEps: 0.1 },
      teacher: { policy: 'ema', momentum: 0.99, momentumEnd: 1 },
      optimizer: { ...published.optimizer, learningRate: 2e-3, rule: 'none', weightDecayEnd: 0.1 },
      length: { steps: 2000, warmupSteps: 100 },
      batchSize: 128,
      groups: 1,
      log: { everySteps: 10, checkpointEverySteps: 100, keepCheckpoints: 2 },
    },
  },
  'single-gpu': {
    source: `${OURS}: ViT-S/16 for 1 000 to 100 000 pictures and 32 to 256 of them in a step, on one device`,
    config: {
      ...published,
      preset: 'single-gpu',
      arch: 'vit_small',
      backbone: { ...published.backbone, dropPathRate: 0.1 },
      // As fast, counted in images, as 0.9 is at the published batch size.
      teacher: { policy: 'ema', momentum: 0.993, momentumEnd: 1 },
      length: { epochs: 300, warmupEpochs: 10 },
      batchSize: 64,
      groups: 1,
    },
  },
  'imagenet-vitl16': {
    source: `${PUBLISHED}: ViT-L/16, the authors' recipe file`,
    published: { knn: 81.1, linear: 82.4, source: TABLE },
    config: published,
  },
  'imagenet-vitb16': {
    source: `${PUBLISHED}: ViT-B/16, the authors' ViT-L/16 recipe file with no change but the network`,
    published: { knn: 78.1, linear: 79.7, source: TABLE },
    config: { ...published, preset: 'imagenet-vitb16', arch: 'vit_base' },
  },
};
