import type { RgbImage } from '@selfsup/datasets';

/** Dark to bright by even steps of lightness (after matplotlib's inferno), so that it reads in grey as well. */
const STOPS: readonly (readonly [number, number, number])[] = [
  [0, 0, 4],
  [31, 12, 72],
  [85, 15, 109],
  [136, 34, 106],
  [186, 54, 85],
  [227, 89, 51],
  [249, 140, 10],
  [249, 201, 50],
  [252, 255, 164],
];

/** Colour of a value from 0 to 1. */
function heatColour(value: number): [number, number, number] {
  const at = Math.min(1, Math.max(0, value)) * (STOPS.length - 1);
  const low = Math.min(STOPS.length - 2, Math.floor(at));
  const share = at - low;
  const mix = (channel: number): number =>
    Math.round(STOPS[low][channel] * (1 - share) + STOPS[low + 1][channel] * share);
  return [mix(0), mix(1), mix(2)];
}

/** Numbers over a grid of patches, row by row. */
export interface PatchValues {
  readonly values: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

/** Brings values to 0..1, the lowest to 0 and the highest to 1; equal values all become 0. */
export function stretched(values: Float32Array): Float32Array {
  let [least, most] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  const span = most - least;
  return values.map((value) => (span > 0 ? (value - least) / span : 0));
}

/** Values of a grid as a picture of `width x height`, smoothly interpolated between the centres of the patches. */
export function heatMap({ values, rows, columns }: PatchValues, width: number, height: number): RgbImage {
  const shares = stretched(values);
  const data = new Uint8Array(width * height * 3);
  const between = (at: number, size: number, count: number): [number, number, number] => {
    const place = Math.min(count - 1, Math.max(0, ((at + 0.5) * count) / size - 0.5));
    const low = Math.floor(place);
    return [low, Math.min(count - 1, low + 1), place - low];
  };
  for (let y = 0; y < height; y++) {
    const [top, bottom, down] = between(y, height, rows);
    for (let x = 0; x < width; x++) {
      const [left, right, along] = between(x, width, columns);
      const upper = shares[top * columns + left] * (1 - along) + shares[top * columns + right] * along;
      const lower = shares[bottom * columns + left] * (1 - along) + shares[bottom * columns + right] * along;
      data.set(heatColour(upper * (1 - down) + lower * down), (y * width + x) * 3);
    }
  }
  return { data, width, height };
}
