import { compileStep, type Engine, type StateStore } from '@selfsup/compile';
import type { Vit } from '@selfsup/backbone-vit';
import type { HostArrays } from '@selfsup/core';
import { normalizeCrops } from '../training/crops.js';
import { prefixed, under } from '../training/networks.js';

/** Turns batches of pictures into CLS tokens, with weights that live in an engine. */
export interface FeatureExtractor {
  readonly batchSize: number;
  /** Width of a feature. */
  readonly width: number;
  /**
   * @param images - `[n, S, S, C]` bytes, n at most `batchSize`
   * @returns `[n, D]` normed CLS tokens, not normalised to unit length
   */
  extract(images: Uint8Array): Promise<Float32Array>;
  dispose(): Promise<void>;
}

export interface FeatureExtractorOptions {
  readonly engine: Engine;
  readonly backbone: Vit;
  readonly batchSize: number;
  /** Weights by state-dict name. Left out: they are in `store` already. */
  readonly weights?: Readonly<HostArrays>;
  /** State of a running training step to read the weights from. */
  readonly store?: StateStore;
  /** Where the weights are in the store, e.g. `teacher.backbone.`. */
  readonly prefix?: string;
}

/** Compiles the backbone's forward pass for one batch size; shorter batches are padded. */
export async function featureExtractor(options: FeatureExtractorOptions): Promise<FeatureExtractor> {
  const { engine, backbone, batchSize, weights, store, prefix = 'backbone.' } = options;
  const { imageSize, channels, width } = backbone.config;
  const compiled = await compileStep(
    (state, { images }) => ({
      state: {},
      metrics: { features: backbone.applyCls(under(prefix, state), normalizeCrops(images)) },
    }),
    {
      engine,
      name: 'features',
      state: prefixed(prefix, backbone.parameterSpecs()),
      batch: { images: { shape: [batchSize, imageSize, imageSize, channels], dtype: 'u8' } },
      ...(store === undefined ? {} : { store }),
    },
  );
  if (weights !== undefined) await compiled.load(prefixed(prefix, weights));
  const bytes = imageSize * imageSize * channels;
  return {
    batchSize,
    width,
    async extract(images) {
      const n = images.length / bytes;
      const padded = n === batchSize ? images : new Uint8Array(batchSize * bytes);
      if (n !== batchSize) padded.set(images);
      const { features } = await compiled.run({ images: padded });
      return (features as Float32Array).slice(0, n * width);
    },
    dispose: () => compiled.dispose(),
  };
}
