import type { Vit } from '@selfsup/backbone-vit';
import { compileStep, type Engine } from '@selfsup/compile';
import type { HostArrays } from '@selfsup/core';
import { normalizeCrops } from '@selfsup/recipes';
import * as tf from '@tensorflow/tfjs-core';
import type { PatchValues } from './heat-map.js';

/** What the CLS token looks at in the last block, by picture and head. */
export interface AttentionMaps {
  /** Side of the pictures it takes, pixels. */
  readonly imageSize: number;
  /**
   * @param image - `[S, S, C]` bytes
   * @returns one grid of weights per head
   */
  of(image: Uint8Array): Promise<PatchValues[]>;
  dispose(): Promise<void>;
}

/**
 * Compiles the attention of the last block for one picture at a time.
 *
 * @param imageSize - Side of the pictures; by default that of the training, any multiple of the patch works.
 */
export async function attentionMaps(
  engine: Engine,
  backbone: Vit,
  weights: Readonly<HostArrays>,
  imageSize = backbone.config.imageSize,
): Promise<AttentionMaps> {
  const { channels, heads, patchSize, registers } = backbone.config;
  const side = Math.floor(imageSize / patchSize);
  const compiled = await compileStep(
    (state, { images }) => {
      const all = backbone.lastSelfAttention(state, normalizeCrops(images)); // [1, heads, T, T]
      const patches = tf.slice(all, [0, 0, 0, 1 + registers], [1, heads, 1, side * side]);
      return { state: {}, metrics: { attention: tf.reshape(patches, [heads, side * side]) } };
    },
    {
      engine,
      name: 'attention',
      state: backbone.parameterSpecs(),
      batch: { images: { shape: [1, imageSize, imageSize, channels], dtype: 'u8' } },
    },
  );
  await compiled.load(weights);
  return {
    imageSize,
    async of(image) {
      const { attention } = await compiled.run({ images: image });
      const cells = side * side;
      return Array.from({ length: heads }, (_, head) => ({
        values: Float32Array.from(attention.subarray(head * cells, (head + 1) * cells)),
        rows: side,
        columns: side,
      }));
    },
    async dispose() {
      await compiled.dispose();
      await compiled.store.dispose();
    },
  };
}

/** Mean over heads. */
export function meanOfHeads(heads: readonly PatchValues[]): PatchValues {
  const [first] = heads;
  return {
    ...first,
    values: first.values.map((_, i) => heads.reduce((sum, { values }) => sum + values[i], 0) / heads.length),
  };
}
