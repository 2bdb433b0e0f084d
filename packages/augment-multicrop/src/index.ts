export { drawBlockMask, type BlockMask, type BlockShape, type MaskBlock } from './block-mask.js';
export { drawBlockMasks, maskedTokenBound, type BlockMaskOptions, type BlockMasks } from './block-masks.js';
export { type MultiCropConfig, type ViewGeometry, type ViewOptions, type ViewOverrides } from './config.js';
export { type SampleKey } from './draw-view.js';
export { type RgbImage } from './image.js';
export { allocateCrops, multiCrop, type CropBatch, type Crops } from './multi-crop.js';
export {
  adjustBrightness,
  adjustContrast,
  adjustHue,
  adjustSaturation,
  colorJitter,
  grayscale,
  solarize,
  type JitterDraw,
  type JitterOperation,
} from './operations/color.js';
export { randomResizedCropBox, type Box } from './operations/crop-box.js';
export { DEFAULT_BLUR_TAPS, gaussianBlur, type BlurKernel } from './operations/gaussian-blur.js';
export {
  centerCrop,
  EVAL_TRANSFORM,
  evalTransform,
  hflip,
  LOGISTIC_EVAL_TRANSFORM,
  resizedCrop,
  resizeShortSide,
  type EvalTransformOptions,
} from './operations/geometry.js';
export { IMAGENET_STATISTICS, normalize, type ChannelStatistics } from './operations/normalize.js';
export { type Interpolation } from './operations/resample-table.js';
export { MULTI_CROP_PRESETS, multiCropConfig, type MultiCropChanges, type MultiCropPreset } from './presets.js';
