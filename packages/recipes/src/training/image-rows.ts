import type { HostArray } from '@selfsup/core';

/** Which images each of `parts` equal parts of a batch has, in order: `[parts, images / parts]`. */
export function consecutiveParts(images: number, parts: number): number[][] {
  const each = images / parts;
  return Array.from({ length: parts }, (_, k) => Array.from({ length: each }, (_image, i) => k * each + i));
}

/** The chosen ones of all images in an array whose rows are crop-major: row = crop * images + image. */
export function takeImages(array: HostArray, crops: number, images: number, chosen: readonly number[]): HostArray {
  const row = array.length / (crops * images);
  const length = crops * chosen.length * row;
  const out = array instanceof Float32Array ? new Float32Array(length) : new Uint8Array(length);
  for (let c = 0; c < crops; c++) {
    chosen.forEach((image, i) => {
      const from = (c * images + image) * row;
      out.set(array.subarray(from, from + row), (c * chosen.length + i) * row);
    });
  }
  return out;
}

/** Puts crop-major rows of chosen images back among those of all images. */
export function placeImages(
  target: Float32Array,
  rows: Float32Array,
  crops: number,
  images: number,
  chosen: readonly number[],
): void {
  const row = rows.length / (crops * chosen.length);
  for (let c = 0; c < crops; c++) {
    chosen.forEach((image, i) => {
      const from = (c * chosen.length + i) * row;
      target.set(rows.subarray(from, from + row), (c * images + image) * row);
    });
  }
}
