export { blendWithConstant, blendWithLuma, grayscale, lumaSum, solarize } from './color';
export { boxPass, frameEnds, frameSides, symmetricFilter } from './blur';
export { hueTables, shiftHue } from './hue';
export { resizeAcross, resizeDown } from './resample';

/** Mirrors every row of pixels. */
export function flip(data: usize, width: usize, height: usize): void {
  for (let y: usize = 0; y < height; y++) {
    let left = data + y * width * 3;
    let right = left + (width - 1) * 3;
    while (left < right) {
      const a = load<u16>(left);
      const b = load<u8>(left, 2);
      store<u16>(left, load<u16>(right));
      store<u8>(left, load<u8>(right, 2), 2);
      store<u16>(right, a);
      store<u8>(right, b, 2);
      left += 3;
      right -= 3;
    }
  }
}

/** Copies a picture between row lengths. */
export function copyRows(
  source: usize,
  sourceStride: usize,
  out: usize,
  outStride: usize,
  rowBytes: usize,
  rows: usize,
): void {
  for (let y: usize = 0; y < rows; y++) memory.copy(out + y * outStride, source + y * sourceStride, rowBytes);
}
