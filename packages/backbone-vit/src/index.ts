export {
  VIT_ARCHITECTURES,
  VIT_FLAVOURS,
  vitConfig,
  type VitArchitecture,
  type VitArchitectureName,
  type VitFlavour,
  type VitFlavourName,
  type VitOverrides,
} from './architectures.js';
export { type PositionInterpolation, type VitConfig } from './config.js';
export { type DropPathOptions, type DropPathSubset } from './drop-path.js';
export { drawKeepMasks, drawSubsets, dropPathRates, subsetSize, type CropRows } from './drop-path-draws.js';
export { type VitParameters } from './parameters.js';
export { interpolatePositions, positionInterpolationMatrix, type PixelGrid } from './position-interpolation.js';
export {
  vit,
  type Vit,
  type VitApplyOptions,
  type VitFeatureMap,
  type VitLayerOptions,
  type VitOutput,
  type VitTokens,
} from './vit.js';
