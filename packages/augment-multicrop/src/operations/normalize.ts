import { checkNumber } from '../checks.js';
import { checkImage, CHANNELS, type RgbImage } from '../image.js';

/** Mean and standard deviation per channel, of values in 0..1. */
export interface ChannelStatistics {
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/** Of ImageNet, used by all four recipes. */
export const IMAGENET_STATISTICS: ChannelStatistics = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/**
 * (x / 255 - mean) / std in float32, each step rounded as torchvision's `ToTensor` and `Normalize` do.
 *
 * @returns float32 `[H, W, 3]`, row-major
 * @throws SslError `BAD_OPTION` on a standard deviation that is not positive
 */
export function normalize(image: RgbImage, { mean, std }: ChannelStatistics = IMAGENET_STATISTICS): Float32Array {
  checkImage('augment-multicrop.normalize', image);
  const f = Math.fround;
  const table = new Float32Array(CHANNELS * 256);
  for (let c = 0; c < CHANNELS; c++) {
    checkNumber('normalize', `std[${c}]`, std[c], Number.MIN_VALUE);
    for (let x = 0; x < 256; x++) table[c * 256 + x] = f(f(x / 255) - f(mean[c])) / f(std[c]);
  }
  const { data } = image;
  const out = new Float32Array(data.length);
  for (let i = 0; i < data.length; i += CHANNELS) {
    out[i] = table[data[i]];
    out[i + 1] = table[256 + data[i + 1]];
    out[i + 2] = table[512 + data[i + 2]];
  }
  return out;
}
