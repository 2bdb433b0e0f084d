/** Pillow's colour arithmetic on interleaved RGB bytes, in place, exact (AssemblyScript, WebAssembly SIMD). */

/** Sixteen bytes moved from `base` by `factor` times their distance: float32, truncated, clipped (Blend.c). */
function blend(pixels: v128, base: v128, factor: v128): v128 {
  const left = i16x8.sub(i16x8.extend_low_i8x16_u(pixels), i16x8.extend_low_i8x16_u(base));
  const right = i16x8.sub(i16x8.extend_high_i8x16_u(pixels), i16x8.extend_high_i8x16_u(base));
  const baseLeft = i16x8.extend_low_i8x16_u(base);
  const baseRight = i16x8.extend_high_i8x16_u(base);
  const s0 = blendFour(i32x4.extend_low_i16x8_s(left), i32x4.extend_low_i16x8_u(baseLeft), factor);
  const s1 = blendFour(i32x4.extend_high_i16x8_s(left), i32x4.extend_high_i16x8_u(baseLeft), factor);
  const s2 = blendFour(i32x4.extend_low_i16x8_s(right), i32x4.extend_low_i16x8_u(baseRight), factor);
  const s3 = blendFour(i32x4.extend_high_i16x8_s(right), i32x4.extend_high_i16x8_u(baseRight), factor);
  return i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(s0, s1), i16x8.narrow_i32x4_s(s2, s3));
}

function blendFour(distance: v128, base: v128, factor: v128): v128 {
  const moved = f32x4.add(f32x4.convert_i32x4_s(base), f32x4.mul(factor, f32x4.convert_i32x4_s(distance)));
  return i32x4.trunc_sat_f32x4_s(moved);
}

/** Luma of four pixels, (19595 R + 38470 G + 7471 B + 32768) >> 16; 38470 is split, since a 16-bit factor ends at 32767. */
function lumaOfFour(pixels: v128): v128 {
  const redGreen = i16x8.extend_low_i8x16_u(
    v128.shuffle<i8>(pixels, pixels, 0, 1, 3, 4, 6, 7, 9, 10, 0, 0, 0, 0, 0, 0, 0, 0),
  );
  const greenBlue = i16x8.extend_low_i8x16_u(
    v128.shuffle<i8>(pixels, pixels, 1, 2, 4, 5, 7, 8, 10, 11, 0, 0, 0, 0, 0, 0, 0, 0),
  );
  const sum = i32x4.add(
    i32x4.dot_i16x8_s(redGreen, i16x8(19595, 32767, 19595, 32767, 19595, 32767, 19595, 32767)),
    i32x4.dot_i16x8_s(greenBlue, i16x8(5703, 7471, 5703, 7471, 5703, 7471, 5703, 7471)),
  );
  return i32x4.shr_u(i32x4.add(sum, i32x4.splat(32768)), 16);
}

/** Luma of four pixels as bytes, each three times: the grey picture. The last four bytes are those of `pixels`. */
function grayOfFour(pixels: v128): v128 {
  return v128.shuffle<i8>(lumaOfFour(pixels), pixels, 0, 0, 0, 4, 4, 4, 8, 8, 8, 12, 12, 12, 28, 29, 30, 31);
}

/** Brightness (base 0) and contrast (base: mean luma). May write up to 15 bytes behind the picture. */
export function blendWithConstant(data: usize, bytes: usize, base: i32, factor: f32): void {
  const bases = i8x16.splat(<i8>base);
  const factors = f32x4.splat(factor);
  for (let p = data; p < data + bytes; p += 16) v128.store(p, blend(v128.load(p), bases, factors));
}

/** Saturation: base is each pixel's luma. Reads and writes up to 16 bytes behind the picture. */
export function blendWithLuma(data: usize, pixels: usize, factor: f32): void {
  const factors = f32x4.splat(factor);
  for (let p = data; p < data + pixels * 3; p += 12) {
    const old = v128.load(p);
    const mixed = blend(old, grayOfFour(old), factors);
    // The fourth lane belongs to pixels still to come.
    v128.store(p, v128.shuffle<i32>(mixed, old, 0, 1, 2, 7));
  }
}

/** Luma in all three channels. Reads and writes up to 16 bytes behind the picture. */
export function grayscale(data: usize, pixels: usize): void {
  for (let p = data; p < data + pixels * 3; p += 12) v128.store(p, grayOfFour(v128.load(p)));
}

/** Sum of all lumas. Bytes behind the picture must be 0 up to the next four pixels. */
export function lumaSum(data: usize, pixels: usize): f64 {
  let total: f64 = 0;
  let p = data;
  const end = data + pixels * 3;
  while (p < end) {
    // Blocks small enough for 32-bit sums.
    const stop = min(end, p + 12 * 65536);
    let sum = i32x4.splat(0);
    for (; p < stop; p += 12) sum = i32x4.add(sum, lumaOfFour(v128.load(p)));
    total += <f64>(
      (<u32>i32x4.extract_lane(sum, 0) +
        <u32>i32x4.extract_lane(sum, 1) +
        <u32>i32x4.extract_lane(sum, 2) +
        <u32>i32x4.extract_lane(sum, 3))
    );
  }
  return total;
}

/** Inverts bytes at or above the threshold (0..255). May write up to 15 bytes behind the picture. */
export function solarize(data: usize, bytes: usize, threshold: i32): void {
  const thresholds = i8x16.splat(<i8>threshold);
  for (let p = data; p < data + bytes; p += 16) {
    const pixels = v128.load(p);
    v128.store(p, v128.xor(pixels, i8x16.ge_u(pixels, thresholds)));
  }
}
