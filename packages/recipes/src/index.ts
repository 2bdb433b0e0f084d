export { mergeConfig, parseAssignment, type Overrides } from './config/merge.js';
export { RECIPES, resolveConfig, type ResolveOptions } from './config/resolve.js';
export type {
  CodingRateLossConfig,
  CommonConfig,
  DinoConfig,
  DinoLossConfig,
  DinoV2Config,
  DinoV2LossConfig,
  DistillConfig,
  FirstGenerationConfig,
  FrozenTeacherConfig,
  HeadConfig,
  LayerwiseOptimizerConfig,
  LearningRateRule,
  LengthConfig,
  MaskConfig,
  MaskedConfig,
  OptimizerConfig,
  Preset,
  PublishedAccuracy,
  ProbeConfig,
  PrototypeHeadConfig,
  RecipeConfig,
  SecondGenerationConfig,
  SelfDistillationConfig,
  SimDinoConfig,
  SimDinoV2Config,
  SimDinoV2LossConfig,
} from './config/types.js';
export {
  featureExtractor,
  type FeatureExtractor,
  type FeatureExtractorOptions,
} from './evaluation/feature-extractor.js';
export { simDinoMethod } from './simdino/method.js';
export { SIMDINO_PRESETS } from './simdino/presets.js';
export { cropSets, multiCropOutputs, normalizeCrops, type CropSet } from './training/crops.js';
export { batchSpecs, distillationStep, stateSpecs, type DistillationOptions } from './training/distillation-step.js';
export { accumulatedProgram } from './training/accumulation.js';
export type { TrainingProgram } from './training/program.js';
export type { Method, Objective, Separable, ViewOutputs } from './training/method.js';
export { methodOf } from './methods.js';
export { dinoMethod } from './dino/method.js';
export { DINO_PRESETS } from './dino/presets.js';
export { tokenCosines, type TokenCosines, type Tokens } from './distill/loss.js';
export { buildDistillNetworks, type DistillNetworks } from './distill/networks.js';
export { DISTILL_PRESETS } from './distill/presets.js';
export { distillStep, type Distillation } from './distill/step.js';
export { withFrozenTeacher, type FrozenTeacher } from './distill/teacher.js';
export { dinov2Method } from './dinov2/method.js';
export { DINOV2_PRESETS } from './dinov2/presets.js';
export { simdinov2Method } from './simdinov2/method.js';
export { SIMDINOV2_PRESETS } from './simdinov2/presets.js';
export { accumulatedMaskedProgram } from './second-generation/accumulation.js';
export { maskArrays } from './second-generation/masked-rows.js';
export type {
  MaskedMethod,
  MaskedViews,
  StudentOutputs,
  TeacherMeans,
  TeacherOutputs,
} from './second-generation/method.js';
export { buildMaskedNetworks, type MaskedNetworks } from './second-generation/networks.js';
export { maskedMethodOf } from './second-generation/methods.js';
export { maskedScalars, maskedSchedules } from './second-generation/schedules.js';
export { maskedDistillationStep, type MaskedDistillation } from './second-generation/step.js';
export { initialWeights, type InitialPart } from './training/initial-weights.js';
export { recipeOf } from './recipe-of.js';
export { type Recipe } from './training/recipe.js';
export { FINITE, trainedNames } from './training/update.js';
export {
  createLoader,
  type BadFile,
  type BatchLoader,
  type LoadedBatch,
  type LoaderOptions,
} from './training/loader.js';
export { checkRun } from './training/check-run.js';
export { budgetOf, collapseAlarm, collapseWarning, featureReport, type FeatureReport } from './training/monitor.js';
export { buildNetworks, type Networks, type TrainedNetworks } from './training/networks.js';
export {
  peakLearningRate,
  runLength,
  scheduledScalars,
  schedulesOf,
  type RunLength,
  type StepSchedule,
} from './training/schedules.js';
export { train, type LogRecord, type TrainOptions, type TrainResult } from './training/train.js';
export {
  datasetFeatures,
  evaluationImages,
  evaluationTransform,
  pixelFeatures,
  type DatasetFeatures,
} from './evaluation/dataset-features.js';
export { loadBackbone, type LoadedBackbone, type LoadBackboneOptions } from './evaluation/load-backbone.js';
export { fixedSelection, subsetOf } from './evaluation/dataset-subset.js';
export { openProbe, probeInterval, type Probe, type ProbeAccuracy, type ProbeData } from './training/probe.js';
export {
  initialState,
  prepareTraining,
  syntheticBatch,
  trainingStateSpecs,
  type Training,
} from './training/prepare.js';
export { adamWTraining, type AdamWTraining } from './training/adamw-training.js';
