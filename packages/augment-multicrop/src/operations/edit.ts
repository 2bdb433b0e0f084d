import { checkImage, type RgbImage } from '../image.js';
import { workbench, type Workbench } from '../kernels/workbench.js';

/** Runs operations on a copy of a whole picture. */
export function edit(where: string, image: RgbImage, operations: (bench: Workbench) => void): RgbImage {
  checkImage(`augment-multicrop.${where}`, image);
  const bench = workbench();
  bench.load(image, { top: 0, left: 0, width: image.width, height: image.height });
  operations(bench);
  return bench.toImage();
}
