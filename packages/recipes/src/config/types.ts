import type { MultiCropConfig } from '@selfsup/augment-multicrop';
import type { VitConfig } from '@selfsup/backbone-vit';
import type { TeacherPolicy } from '@selfsup/ema-distill';

/** How the peak learning rate follows from the base rate and the batch. */
export type LearningRateRule = 'linear-per-256' | 'linear-per-1024' | 'sqrt-per-1024' | 'none';

/** A run's length and warm-up: in epochs (of the given data) or in steps; steps win when both are given. */
export interface LengthConfig {
  /** Steps that count as an epoch (DINOv2: 1250); left out: one pass over the data. */
  readonly stepsPerEpoch?: number;
  readonly epochs?: number;
  readonly steps?: number;
  readonly warmupEpochs?: number;
  readonly warmupSteps?: number;
}

export interface OptimizerConfig {
  /** Base rate; the peak follows from `rule`. */
  readonly learningRate: number;
  readonly rule: LearningRateRule;
  readonly minLearningRate: number;
  readonly weightDecay: number;
  readonly weightDecayEnd: number;
  /** Largest norm of each tensor's gradient; 0: no clipping. */
  readonly clipNorm: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

/** The optimiser of the second generation: deeper layers learn faster. */
export interface LayerwiseOptimizerConfig extends OptimizerConfig {
  /** Factor of the learning rate per layer below the top. */
  readonly layerDecay: number;
  /** Further factor of the patch embedding. */
  readonly patchEmbedMultiplier: number;
}

export interface CodingRateLossConfig {
  /** The code's eps (the square of the paper's epsilon). */
  readonly codingRateEps: number;
  /** Weight of the alignment term. */
  readonly compressionWeight: number;
  /** Rows whose coding rate is maximised. */
  readonly expansionFeatures: 'student' | 'mean-with-teacher';
  /** Second moments of each group alone (as published), or of all groups together. */
  readonly covariance: 'per-group' | 'all-groups';
  /** Weight of the coding rate: as in the authors' code, as their theory has it, or a number. */
  readonly gamma: 'code' | 'theory' | number;
}

export interface DinoLossConfig {
  readonly studentTemperature: number;
  /** Temperature of the teacher: from `start` to `end` over `warmupEpochs` epochs, moving once per epoch. */
  readonly teacherTemperature: { readonly start: number; readonly end: number; readonly warmupEpochs: number };
  readonly centerMomentum: number;
}

export interface DinoV2LossConfig extends DinoLossConfig {
  /** How the teacher's outputs become targets. */
  readonly targets: 'centering' | 'sinkhorn-knopp';
  /** Weights of the terms: CLS tokens, masked patches, spreading of the CLS tokens (KoLeo). */
  readonly clsWeight: number;
  readonly patchWeight: number;
  readonly koleoWeight: number;
}

export interface SimDinoV2LossConfig extends CodingRateLossConfig {
  /** Weights of the terms: CLS tokens, masked patches. */
  readonly clsWeight: number;
  readonly patchWeight: number;
}

/** Which patches of the student's global views are masked, in random blocks. */
export interface MaskConfig {
  /** Share of the views with a mask. */
  readonly probability: number;
  /** Share of masked patches, from the lightest to the heaviest mask. */
  readonly ratio: readonly [number, number];
}

export interface HeadConfig {
  readonly layers: number;
  readonly hiddenWidth: number;
  /** Width of the features. */
  readonly width: number;
}

export interface PrototypeHeadConfig extends HeadConfig {
  /** K, number of prototypes behind the features. */
  readonly prototypes: number;
  /** Whether the prototypes' norms stay at 1 (the authors' `norm_last_layer`) or are trained. */
  readonly prototypeNorms: 'frozen' | 'trainable';
  /** Epochs in which the last layer is not trained. */
  readonly freezeEpochs: number;
}

/** Accuracy of frozen features on a fixed sample of labelled pictures, measured while training. */
export interface ProbeConfig {
  /** `auto`: as often as costs next to nothing (see `probeInterval`); 0: never. */
  readonly everySteps: number | 'auto';
  /** Pictures of the sample, a third of them held out. */
  readonly images: number;
}

/** What every recipe is configured by; plain JSON, stored as `config.json`. */
export interface CommonConfig {
  /** Name of the preset it started from. */
  readonly preset: string;
  readonly arch: string;
  /** Changes to the architecture: image and patch size, stochastic depth, ... */
  readonly backbone: Partial<VitConfig>;
  readonly crops: MultiCropConfig;
  readonly optimizer: OptimizerConfig;
  readonly length: LengthConfig;
  /** Images of a step, all groups together. */
  readonly batchSize: number;
  /** Virtual ranks the published method computes its statistics on. */
  readonly groups: number;
  /** Parts a step is computed in, one after the other, with the same result; for batches that do not fit in memory. */
  readonly accumulate: number;
  readonly seed: number;
  readonly log: {
    readonly everySteps: number;
    readonly checkpointEverySteps: number;
    readonly keepCheckpoints: number;
  };
  readonly probe: ProbeConfig;
  /** Share of unreadable files above which a run stops. */
  readonly maxBadFraction: number;
}

/** What recipes have in common whose teacher is made of the student. */
export interface SelfDistillationConfig extends CommonConfig {
  readonly teacher: { readonly policy: TeacherPolicy; readonly momentum: number; readonly momentumEnd: number };
}

/** SimDINO: alignment of views against the coding rate of their features. */
export interface SimDinoConfig extends SelfDistillationConfig {
  readonly recipe: 'simdino';
  readonly head: HeadConfig;
  readonly loss: CodingRateLossConfig;
}

/** DINO: cross entropy between centred, sharpened teacher prototypes and the student's. */
export interface DinoConfig extends SelfDistillationConfig {
  readonly recipe: 'dino';
  readonly head: PrototypeHeadConfig;
  readonly loss: DinoLossConfig;
}

/** What the recipes of the second generation add: masked patches, a head for them, learning rates by layer. */
export interface MaskedConfig extends SelfDistillationConfig {
  readonly optimizer: LayerwiseOptimizerConfig;
  readonly masks: MaskConfig;
}

/** DINOv2: DINO's loss for CLS tokens, iBOT's for masked patches, KoLeo. */
export interface DinoV2Config extends MaskedConfig {
  readonly recipe: 'dinov2';
  readonly head: PrototypeHeadConfig;
  /** Head of the patches; left out: `head` serves both. */
  readonly patchHead?: Omit<PrototypeHeadConfig, 'freezeEpochs'>;
  readonly loss: DinoV2LossConfig;
}

/** SimDINOv2: SimDINO's loss for CLS tokens, alignment of masked patches. */
export interface SimDinoV2Config extends MaskedConfig {
  readonly recipe: 'simdinov2';
  readonly head: HeadConfig;
  /** Head of the patches; left out: `head` serves both. */
  readonly patchHead?: HeadConfig;
  readonly loss: SimDinoV2LossConfig;
}

/** A frozen backbone to learn from. */
export interface FrozenTeacherConfig {
  /** Checkpoint folder or safetensors file; empty until a teacher is chosen. */
  readonly path: string;
  /** SHA-256 of its weights; empty until it has been read. */
  readonly sha256: string;
  /** Its architecture; empty until it has been read. */
  readonly backbone: Partial<VitConfig>;
}

/** Distillation: a frozen backbone's CLS and patch tokens, learned by a smaller one on the same views. */
export interface DistillConfig extends CommonConfig {
  readonly recipe: 'distill';
  readonly teacher: FrozenTeacherConfig;
  readonly loss: {
    /** Weights of the terms: CLS tokens, patch tokens. */
    readonly clsWeight: number;
    readonly patchWeight: number;
  };
}

/** Recipes that learn from CLS tokens alone. */
export type FirstGenerationConfig = SimDinoConfig | DinoConfig;

/** Recipes that learn from masked patches too. */
export type SecondGenerationConfig = DinoV2Config | SimDinoV2Config;

/** A complete description of a run. */
export type RecipeConfig = FirstGenerationConfig | SecondGenerationConfig | DistillConfig;

/** What a paper or its code page reports for a run of a preset: ImageNet-1k, top-1 on the validation images, percent. */
export interface PublishedAccuracy {
  /** Weighted k-NN on frozen features. */
  readonly knn: number;
  /** A linear classifier on frozen features. */
  readonly linear: number;
  /** Where the numbers stand. */
  readonly source: string;
}

/** What a preset says about itself. */
export interface Preset {
  /** The paper or program whose settings these are, or that they are ours. */
  readonly source: string;
  /** Reported results, where there are any for a run of these settings on ImageNet-1k. */
  readonly published?: PublishedAccuracy;
  readonly config: RecipeConfig;
}
