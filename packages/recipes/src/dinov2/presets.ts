import { MULTI_CROP_PRESETS, multiCropConfig } from '@selfsup/augment-multicrop';
import { VIT_FLAVOURS } from '@selfsup/backbone-vit';
import { smallCrops } from '../config/small-crops.js';
import type { DinoV2Config, Preset } from '../config/types.js';

const PAPER = 'DINOv2 (Oquab et al., TMLR 2024)';
const OURS = 'ours, not published';

/** The authors' short run: ViT-L/16, 32 processes of 64 images, an "epoch" being 1250 steps whatever the data. */
const short: DinoV2Config = {
  recipe: 'dinov2',
  preset: 'imagenet-vitl16-short',
  arch: 'vit_large',
  backbone: { ...VIT_FLAVOURS.dinov2, imageSize: 224, patchSize: 16, dropPathRate: 0.3 },
  head: { layers: 3, hiddenWidth: 2048, width: 256, prototypes: 65_536, prototypeNorms: 'trainable', freezeEpochs: 1 },
  crops: MULTI_CROP_PRESETS.dinov2,
  masks: { probability: 0.5, ratio: [0.1, 0.5] },
  loss: {
    studentTemperature: 0.1,
    teacherTemperature: { start: 0.04, end: 0.07, warmupEpochs: 30 },
    centerMomentum: 0.9,
    targets: 'centering',
    clsWeight: 1,
    patchWeight: 1,
    koleoWeight: 0.1,
  },
  teacher: { policy: 'ema', momentum: 0.992, momentumEnd: 1 },
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
  length: { epochs: 100, warmupEpochs: 10, stepsPerEpoch: 1250 },
  batchSize: 2048,
  groups: 32,
  accumulate: 1,
  seed: 0,
  log: { everySteps: 10, checkpointEverySteps: 1000, keepCheckpoints: 2 },
  probe: { everySteps: 'auto', images: 1200 },
  maxBadFraction: 0.05,
};

/** The long run: patches of 14 pixels, Sinkhorn-Knopp, two heads, SwiGLU. */
const long: DinoV2Config = {
  ...short,
  preset: 'imagenet22k-vitl14',
  backbone: { ...short.backbone, patchSize: 14, ffn: 'swiglu', dropPathRate: 0.4 },
  head: { ...short.head, prototypes: 131_072, width: 384 },
  patchHead: { layers: 3, hiddenWidth: 2048, width: 256, prototypes: 131_072, prototypeNorms: 'trainable' },
  crops: multiCropConfig('dinov2', { local: { size: 98 } }),
  loss: { ...short.loss, targets: 'sinkhorn-knopp' },
  teacher: { policy: 'ema', momentum: 0.994, momentumEnd: 1 },
  optimizer: { ...short.optimizer, learningRate: 2e-4, weightDecayEnd: 0.2, layerDecay: 1 },
  length: { epochs: 500, warmupEpochs: 80, stepsPerEpoch: 1250 },
  batchSize: 3072,
  groups: 96,
};

/** Shorter runs warm up faster. */
const ourLoss = { ...short.loss, teacherTemperature: { start: 0.04, end: 0.07, warmupEpochs: 10 } };

/** DINOv2's named settings. */
export const DINOV2_PRESETS: Readonly<Record<string, Preset>> = {
  'cifar-tiny': {
    source: `${OURS}: a tiny network on 32-pixel pictures`,
    config: {
      ...short,
      preset: 'cifar-tiny',
      arch: 'vit_tiny',
      backbone: {
        ...VIT_FLAVOURS.dinov2,
        imageSize: 32,
        patchSize: 8,
        width: 128,
        depth: 4,
        heads: 4,
        layerScale: 0.1,
        dropPathRate: 0,
      },
      head: { ...short.head, hiddenWidth: 512, width: 128, prototypes: 2048 },
      crops: smallCrops(MULTI_CROP_PRESETS.dinov2, 32, 16, 4, [0.1, 0.4]),
      loss: ourLoss,
      teacher: { policy: 'ema', momentum: 0.99, momentumEnd: 1 },
      optimizer: { ...short.optimizer, learningRate: 2e-3, rule: 'none', weightDecayEnd: 0.1 },
      length: { steps: 2000, warmupSteps: 100 },
      batchSize: 128,
      groups: 1,
      log: { everySteps: 10, checkpointEverySteps: 100, keepCheckpoints: 2 },
    },
  },
  'single-gpu': {
    source: `${OURS}: ViT-S/16 for 1 000 to 100 000 pictures and 32 to 256 of them in a step, on one device`,
    config: {
      ...short,
      preset: 'single-gpu',
      arch: 'vit_small',
      backbone: { ...short.backbone, dropPathRate: 0.1 },
      head: { ...short.head, prototypes: 8192 },
      loss: ourLoss,
      teacher: { policy: 'ema', momentum: 0.996, momentumEnd: 1 },
      length: { epochs: 300, warmupEpochs: 10 },
      batchSize: 64,
      groups: 1,
    },
  },
  'imagenet-vitl16-short': {
    source: `${PAPER}: ViT-L/16 on ImageNet-1k, the authors' vitl16_short configuration`,
    published: { knn: 81.6, linear: 82.9, source: "the README of DINOv2's code, vitl16_short" },
    config: short,
  },
  'imagenet22k-vitl14': {
    source: `${PAPER}: ViT-L/14 on ImageNet-22k, the authors' vitl14 configuration`,
    config: long,
  },
  'imagenet22k-vitg14': {
    source: `${PAPER}: ViT-g/14, the authors' vitg14 configuration of 12 images a process; their number of processes is not published, here the 3072 images of vitl14`,
    config: { ...long, preset: 'imagenet22k-vitg14', arch: 'vit_giant2', groups: 256 },
  },
};
