/**
 * Pillow's resampling passes in 22-bit fixed point, exact, for WebAssembly SIMD (AssemblyScript).
 *
 * A weight w is kept as two 16-bit halves, w = high * 2^15 + low, so that one `dot` takes two taps of four channels;
 * 32-bit sums may wrap on the way, the total does not. Table, per output position, `tableStride` bytes:
 * first input position (i32), pairs of taps (i32), then per pair [high0 high1] and [low0 low1] (four i16).
 */

const PRECISION_BITS: i32 = 22;
const HALF: i32 = 1 << (PRECISION_BITS - 1);

/** Rounds four sums to bytes, in the lowest 32 bits. */
function toBytes(high: v128, low: v128): v128 {
  const total = i32x4.add(i32x4.add(i32x4.shl(high, 15), low), i32x4.splat(HALF));
  const shorts = i16x8.narrow_i32x4_s(i32x4.shr_s(total, PRECISION_BITS), i32x4.splat(0));
  return i8x16.narrow_i16x8_u(shorts, shorts);
}

/** Two neighbouring RGB pixels as pairs of 16-bit values: r r g g b b 0 0. */
function pixelPair(at: usize): v128 {
  const bytes = v128.load64_zero(at);
  return v128.shuffle<i8>(bytes, bytes, 0, 8, 3, 8, 1, 8, 4, 8, 2, 8, 5, 8, 8, 8, 8, 8);
}

/** Stores the lowest three bytes. */
function storePixel(at: usize, bytes: v128): void {
  v128.store16_lane(at, bytes, 0);
  v128.store8_lane(at, bytes, 2, 2);
}

/** Across: `rows` rows of pixels, two at a time. May read up to 5 bytes behind the last pixel a table names. */
export function resizeAcross(
  source: usize,
  sourceStride: usize,
  rows: usize,
  out: usize,
  outStride: usize,
  outWidth: usize,
  table: usize,
  tableStride: usize,
): void {
  for (let y: usize = 0; y < rows; y += 2) {
    // The last of an odd number of rows is its own partner.
    const partner: usize = y + 1 < rows ? 1 : 0;
    const row0 = source + y * sourceStride;
    const toRow1 = partner * sourceStride;
    let o = out + y * outStride;
    const toOut1 = partner * outStride;
    let entry = table;
    for (let x: usize = 0; x < outWidth; x++) {
      let p = row0 + <usize>load<i32>(entry) * 3;
      let weights = entry + 8;
      const end = weights + ((<usize>load<i32>(entry, 4)) << 3);
      let high0 = i32x4.splat(0);
      let low0 = i32x4.splat(0);
      let high1 = i32x4.splat(0);
      let low1 = i32x4.splat(0);
      while (weights < end) {
        const high = v128.load32_splat(weights);
        const low = v128.load32_splat(weights, 4);
        const pixels0 = pixelPair(p);
        const pixels1 = pixelPair(p + toRow1);
        high0 = i32x4.add(high0, i32x4.dot_i16x8_s(pixels0, high));
        low0 = i32x4.add(low0, i32x4.dot_i16x8_s(pixels0, low));
        high1 = i32x4.add(high1, i32x4.dot_i16x8_s(pixels1, high));
        low1 = i32x4.add(low1, i32x4.dot_i16x8_s(pixels1, low));
        weights += 8;
        p += 6;
      }
      storePixel(o, toBytes(high0, low0));
      storePixel(o + toOut1, toBytes(high1, low1));
      o += 3;
      entry += tableStride;
    }
  }
}

/** Rounds sixteen sums to bytes. */
function toSixteenBytes(
  high0: v128,
  low0: v128,
  high1: v128,
  low1: v128,
  high2: v128,
  low2: v128,
  high3: v128,
  low3: v128,
): v128 {
  const half = i32x4.splat(HALF);
  const s0 = i32x4.shr_s(i32x4.add(i32x4.add(i32x4.shl(high0, 15), low0), half), PRECISION_BITS);
  const s1 = i32x4.shr_s(i32x4.add(i32x4.add(i32x4.shl(high1, 15), low1), half), PRECISION_BITS);
  const s2 = i32x4.shr_s(i32x4.add(i32x4.add(i32x4.shl(high2, 15), low2), half), PRECISION_BITS);
  const s3 = i32x4.shr_s(i32x4.add(i32x4.add(i32x4.shl(high3, 15), low3), half), PRECISION_BITS);
  return i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(s0, s1), i16x8.narrow_i32x4_s(s2, s3));
}

/**
 * Down: sixteen bytes of a row at a time. May write up to 15 bytes behind a row (the next row comes later) and read one
 * row behind the last that a table names.
 */
export function resizeDown(
  source: usize,
  sourceStride: usize,
  rowBytes: usize,
  out: usize,
  outStride: usize,
  outHeight: usize,
  table: usize,
  tableStride: usize,
): void {
  for (let y: usize = 0; y < outHeight; y++) {
    const entry = table + y * tableStride;
    const first = source + <usize>load<i32>(entry) * sourceStride;
    const firstWeights = entry + 8;
    const end = firstWeights + ((<usize>load<i32>(entry, 4)) << 3);
    for (let x: usize = 0; x < rowBytes; x += 16) {
      let p = first + x;
      let high0 = i32x4.splat(0);
      let low0 = i32x4.splat(0);
      let high1 = i32x4.splat(0);
      let low1 = i32x4.splat(0);
      let high2 = i32x4.splat(0);
      let low2 = i32x4.splat(0);
      let high3 = i32x4.splat(0);
      let low3 = i32x4.splat(0);
      for (let weights = firstWeights; weights < end; weights += 8) {
        const high = v128.load32_splat(weights);
        const low = v128.load32_splat(weights, 4);
        const a = v128.load(p);
        const b = v128.load(p + sourceStride);
        const left = v128.shuffle<i8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        const right = v128.shuffle<i8>(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        const c0 = i16x8.extend_low_i8x16_u(left);
        const c1 = i16x8.extend_high_i8x16_u(left);
        const c2 = i16x8.extend_low_i8x16_u(right);
        const c3 = i16x8.extend_high_i8x16_u(right);
        high0 = i32x4.add(high0, i32x4.dot_i16x8_s(c0, high));
        low0 = i32x4.add(low0, i32x4.dot_i16x8_s(c0, low));
        high1 = i32x4.add(high1, i32x4.dot_i16x8_s(c1, high));
        low1 = i32x4.add(low1, i32x4.dot_i16x8_s(c1, low));
        high2 = i32x4.add(high2, i32x4.dot_i16x8_s(c2, high));
        low2 = i32x4.add(low2, i32x4.dot_i16x8_s(c2, low));
        high3 = i32x4.add(high3, i32x4.dot_i16x8_s(c3, high));
        low3 = i32x4.add(low3, i32x4.dot_i16x8_s(c3, low));
        p += 2 * sourceStride;
      }
      v128.store(out + y * outStride + x, toSixteenBytes(high0, low0, high1, low1, high2, low2, high3, low3));
    }
  }
}
