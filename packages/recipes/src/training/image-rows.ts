import type { HostArray } from '@selfsup/core';

/** Images [start, start + count) of arrays whose rows are crop-major: row = crop * images + image. */
export function sliceImages(array: HostArray, crops: number, images: number, start: number, count: number): HostArray {
  const row = array.length / (crops * images);
  const out =
    array instanceof Float32Array ? new Float32Array(crops * count * row) : new Uint8Array(crops * count * row);
  for (let c = 0; c < crops; c++) {
    const from = (c * images + start) * row;
    out.set(array.subarray(from, from + count * row), c * count * row);
  }
  return out;
}

/** Puts a part's crop-major rows back among those of all images. */
export function placeImages(
  target: Float32Array,
  part: Float32Array,
  crops: number,
  images: number,
  start: number,
  count: number,
): void {
  const row = part.length / (crops * count);
  for (let c = 0; c < crops; c++)
    target.set(part.subarray(c * count * row, (c + 1) * count * row), (c * images + start) * row);
}
