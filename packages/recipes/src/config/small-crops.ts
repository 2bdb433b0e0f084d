import type { MultiCropConfig } from '@selfsup/augment-multicrop';

/** Side of the pictures the published blur is meant for. */
const PUBLISHED_SIZE = 224;

/** Multi-crop for small pictures: the published operations at other sizes, the blur in proportion. */
export function smallCrops(
  published: MultiCropConfig,
  globalSize: number,
  localSize: number,
  localCount: number,
  localScale: readonly [number, number],
): MultiCropConfig {
  const [low, high] = published.view.blurSigma;
  return {
    view: { ...published.view, blurSigma: [low, (high * globalSize) / PUBLISHED_SIZE] },
    global: { ...published.global, size: globalSize },
    local: { ...published.local, size: localSize, count: localCount, scale: localScale },
  };
}
