export { codingRate, codingRateGradient, type CodingRateOptions } from './coding-rate.js';
export {
  collapseBudget,
  collapsedExpansion,
  maxExpansion,
  type BudgetSetting,
  type CollapseBudget,
} from './collapse-budget.js';
export type { Similarity } from './compression.js';
export { expansion, expansionGradient, type ExpansionFeatures, type ExpansionOptions } from './expansion.js';
export type { CovarianceScope } from './groups.js';
export { featureStd } from './feature-std.js';
export { patchCosineLoss, type MaskedPatches } from './patch-cosine-loss.js';
export {
  expansionFeatures,
  simDinoLoss,
  type SimDinoFeatures,
  type SimDinoLoss,
  type SimDinoOptions,
  type TargetGradient,
} from './sim-dino-loss.js';
export { alphaOf, CODING_RATE_EPS, gammaOf, type GammaRule, type NumberOrScalar, type Strength } from './strength.js';
