import { Rng } from '@selfsup/core';
import { datasetFrom, type Dataset } from '@selfsup/datasets';

/** Small pictures of noise around one colour per class, in memory. */
export function noisePictures(
  count: number,
  { labelled = true, seed = 0, size = 16 }: { labelled?: boolean; seed?: number; size?: number } = {},
): Promise<Dataset> {
  const samples = Array.from({ length: count }, (_, i) => {
    const rng = Rng.of(seed, 'noise-pictures', i);
    const label = i % 2;
    const data = Uint8Array.from({ length: size * size * 3 }, (_, k) => rng.integer(140) + (k % 3 === label ? 100 : 0));
    const source = { kind: 'rgb', data, width: size, height: size } as const;
    return { source, name: `${i}`, ...(labelled ? { label } : {}) };
  });
  return datasetFrom(samples, labelled ? { classes: ['a', 'b'] } : {});
}
