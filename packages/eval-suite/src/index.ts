export { linearCka, type CkaEstimate } from './cka.js';
export { codingRateOf, type CodingRate } from './coding-rate.js';
export { DEFAULT_CODING_RATE_EPSILON, diagnoseFeatures, type FeatureDiagnostics } from './diagnose.js';
export type { Features } from './features.js';
export {
  DEFAULT_NEIGHBOURS,
  DEFAULT_TEMPERATURE,
  HEADLINE_NEIGHBOURS,
  knnClassify,
  neighbourVotes,
  type KnnAccuracy,
  type KnnOptions,
  type KnnResult,
  type KnnSetting,
} from './knn.js';
export { tfjsMatrixProduct, type MatrixProduct } from './matrix-product.js';
export {
  DEFAULT_BLOCK_SIZE,
  nearestNeighbours,
  type NeighbourOptions,
  type Neighbours,
  type Similarity,
} from './nearest-neighbours.js';
export type { Preparation } from './rows.js';
export { DEFAULT_RIDGE, ridgeProbe, type RidgeProbeOptions, type RidgeProbeResult } from './ridge-probe.js';
export { RANK_ME_EPSILON, rankMeasures, singularValues, type RankMeasures } from './spectrum.js';
export { alignment, featureStd, meanCosine, uniformity } from './spread.js';
