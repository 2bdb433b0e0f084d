export type { Dataset, Sample, Split } from './dataset.js';
export { datasetFrom, type DatasetFromOptions } from './dataset-from.js';
export { IMAGE_EXTENSIONS, listImageFiles, type FoundFiles } from './image-files.js';
export { HELD_OUT_ONE_IN, isHeldOut } from './image-folder.js';
export type { EncodedSource, FileSource, ImageSource, PlanarSource, RgbImage, RgbSource } from './image-source.js';
export { openDataset, type OpenDatasetOptions } from './open-dataset.js';
export {
  batchAt,
  createSampler,
  createShardedSampler,
  sampleOrder,
  type SampledBatch,
  type Sampler,
  type SamplerOptions,
  type ShardedSamplerOptions,
} from './sampling.js';
