export {
  createCropPool,
  type CropPool,
  type CropPoolOptions,
  type CropResult,
  type CropTarget,
} from './pool/crop-pool.js';
export { type CropError, type Decode } from './pool/crop-task.js';
