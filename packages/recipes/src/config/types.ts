import type { MultiCropConfig } from '@selfsup/augment-multicrop';
import type { VitConfig } from '@selfsup/backbone-vit';

/** How the peak learning rate follows from the base rate and the batch. */
export type LearningRateRule = 'linear-per-256' | 'sqrt-per-1024' | 'none';

/** Where a student's targets come from. */
export type TeacherPolicy = 'ema' | 'student-stopgrad' | 'none';

/** A run's length and warm-up: in epochs (of the given data) or in steps; steps win when both are given. */
export interface LengthConfig {
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

/** A complete description of a run; plain JSON, stored as `config.json`. */
export interface RecipeConfig {
  readonly recipe: 'simdino';
  /** Name of the preset it started from. */
  readonly preset: string;
  readonly arch: string;
  /** Changes to the architecture: image and patch size, stochastic depth, ... */
  readonly backbone: Partial<VitConfig>;
  readonly head: { readonly layers: number; readonly hiddenWidth: number; readonly width: number };
  readonly crops: MultiCropConfig;
  readonly loss: CodingRateLossConfig;
  readonly teacher: { readonly policy: TeacherPolicy; readonly momentum: number; readonly momentumEnd: number };
  readonly optimizer: OptimizerConfig;
  readonly length: LengthConfig;
  /** Images of a step, all groups together. */
  readonly batchSize: number;
  /** Virtual ranks the published method computes its statistics on. */
  readonly groups: number;
  readonly seed: number;
  readonly log: {
    readonly everySteps: number;
    readonly checkpointEverySteps: number;
    readonly keepCheckpoints: number;
  };
  /** Share of unreadable files above which a run stops. */
  readonly maxBadFraction: number;
}

/** What a preset says about itself. */
export interface Preset {
  /** The paper or program whose settings these are, or that they are ours. */
  readonly source: string;
  readonly config: RecipeConfig;
}
