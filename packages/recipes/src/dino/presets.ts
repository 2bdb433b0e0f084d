import { MULTI_CROP_PRESETS } from '@selfsup/augment-multicrop';
import { smallCrops } from '../config/small-crops.js';
import type { DinoConfig, Preset } from '../config/types.js';

const { dino } = MULTI_CROP_PRESETS;

/** ViT-S/16 "vanilla": the 100-epoch command of the authors' README, 8 processes of 64 images. */
const vanilla: DinoConfig = {
  recipe: 'dino',
  preset: 'imagenet-vits16',
  arch: 'vit_small',
  backbone: { imageSize: 224, patchSize: 16, dropPathRate: 0.1 },
  head: { layers: 3, hiddenWidth: 2048, width: 256, prototypes: 65_536, prototypeNorms: 'frozen', freezeEpochs: 1 },
  crops: dino,
  loss: {
    studentTemperature: 0.1,
    teacherTemperature: { start: 0.04, end: 0.04, warmupEpochs: 0 },
    centerMomentum: 0.9,
  },
  teacher: { policy: 'ema', momentum: 0.996, momentumEnd: 1 },
  optimizer: {
    learningRate: 5e-4,
    rule: 'linear-per-256',
    minLearningRate: 1e-6,
    weightDecay: 0.04,
    weightDecayEnd: 0.4,
    clipNorm: 3,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
  },
  length: { epochs: 100, warmupEpochs: 10 },
  batchSize: 512,
  groups: 8,
  accumulate: 1,
  seed: 0,
  log: { everySteps: 10, checkpointEverySteps: 1000, keepCheckpoints: 2 },
  probe: { everySteps: 'auto', images: 1200 },
  maxBadFraction: 0.05,
};

/** The released models' crops: larger range of global scales, ten small local views. */
const releasedCrops = {
  ...dino,
  global: { ...dino.global, scale: [0.25, 1] },
  local: { ...dino.local, scale: [0.05, 0.25], count: 10 },
} as const;

/** DINO's named settings. */
export const DINO_PRESETS: Readonly<Record<string, Preset>> = {
  'cifar-tiny': {
    source: 'ours, not published: a tiny network on 32-pixel pictures',
    config: {
      ...vanilla,
      preset: 'cifar-tiny',
      arch: 'vit_tiny',
      backbone: { imageSize: 32, patchSize: 8, width: 128, depth: 4, heads: 4, dropPathRate: 0 },
      head: { ...vanilla.head, hiddenWidth: 512, width: 128, prototypes: 2048 },
      crops: smallCrops(dino, 32, 16, 4, [0.1, 0.4]),
      loss: { ...vanilla.loss, teacherTemperature: { start: 0.04, end: 0.07, warmupEpochs: 10 } },
      teacher: { policy: 'ema', momentum: 0.99, momentumEnd: 1 },
      optimizer: { ...vanilla.optimizer, learningRate: 2e-3, rule: 'none', weightDecayEnd: 0.1 },
      length: { steps: 2000, warmupSteps: 100 },
      batchSize: 128,
      groups: 1,
      log: { everySteps: 10, checkpointEverySteps: 100, keepCheckpoints: 2 },
    },
  },
  'imagenet-vits16': {
    source: 'DINO (Caron et al., ICCV 2021): ViT-S/16, 100 epochs, the "vanilla" command of the authors\' README',
    published: { knn: 69.3, linear: 74.0, source: "the README of DINO's code, ViT-S/16, 100 epochs, batch 512" },
    config: vanilla,
  },
  'imagenet-vitb16': {
    source:
      'DINO (Caron et al., ICCV 2021): the released ViT-B/16, 400 epochs, as its published arguments have it (number of processes and freeze epochs not certain)',
    published: { knn: 76.1, linear: 78.2, source: "the README of DINO's code, released ViT-B/16" },
    config: {
      ...vanilla,
      preset: 'imagenet-vitb16',
      arch: 'vit_base',
      head: { ...vanilla.head, freezeEpochs: 3 },
      crops: releasedCrops,
      loss: { ...vanilla.loss, teacherTemperature: { start: 0.04, end: 0.07, warmupEpochs: 50 } },
      optimizer: { ...vanilla.optimizer, learningRate: 7.5e-4, minLearningRate: 2e-6, clipNorm: 0.3 },
      length: { epochs: 400, warmupEpochs: 10 },
      batchSize: 1024,
      groups: 32,
    },
  },
};
