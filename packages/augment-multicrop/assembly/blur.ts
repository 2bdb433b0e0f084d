/**
 * Blurs of RGB bytes (AssemblyScript, WebAssembly SIMD). Pictures lie inside a frame: `origin` is their first pixel,
 * `margin` pixels of frame surround them on each side, rows are `stride` bytes apart, which leaves at least 16 bytes
 * of room behind a row and its right margin.
 */

/** The position in 0..n-1 that stands for one outside it: the nearest, or mirrored without repeating the edge. */
function inside(i: i32, n: i32, mirror: bool): i32 {
  if (!mirror || n == 1) return min(max(i, 0), n - 1);
  const period = 2 * (n - 1);
  const m = ((i % period) + period) % period;
  return m < n ? m : period - m;
}

function copyPixel(to: usize, from: usize): void {
  store<u16>(to, load<u16>(from));
  store<u8>(to, load<u8>(from, 2), 2);
}

/** Fills the frame to the left and right of every row. */
export function frameSides(origin: usize, stride: usize, width: i32, height: i32, margin: i32, mirror: bool): void {
  for (let y = 0; y < height; y++) {
    const row = origin + <usize>y * stride;
    for (let i = 1; i <= margin; i++) {
      copyPixel(row - <usize>(i * 3), row + <usize>(inside(-i, width, mirror) * 3));
      copyPixel(row + <usize>((width - 1 + i) * 3), row + <usize>(inside(width - 1 + i, width, mirror) * 3));
    }
  }
}

/** Fills the frame above and below, side margins included. */
export function frameEnds(origin: usize, stride: usize, height: i32, margin: i32, mirror: bool): void {
  const first = origin - <usize>(margin * 3);
  for (let i = 1; i <= margin; i++) {
    memory.copy(first - <usize>i * stride, first + <usize>inside(-i, height, mirror) * stride, stride);
    const below = <usize>(height - 1 + i);
    memory.copy(first + below * stride, first + <usize>inside(height - 1 + i, height, mirror) * stride, stride);
  }
}

/** (sum * whole + far * part + 2^23) >> 24 for four values. */
function weigh(sum: v128, far: v128, whole: v128, part: v128): v128 {
  const total = i32x4.add(i32x4.mul(sum, whole), i32x4.mul(far, part));
  return i32x4.shr_u(i32x4.add(total, i32x4.splat(1 << 23)), 24);
}

/**
 * One box pass along `step` bytes: 2 radius + 1 values (radius at most 127) with weight `whole`, the two beyond with
 * weight `part`, in 2^24 fixed point (BoxBlur.c). The frame in that direction must reach radius + 1.
 */
export function boxPass(
  source: usize,
  out: usize,
  stride: usize,
  rowBytes: usize,
  height: usize,
  step: usize,
  radius: usize,
  whole: u32,
  part: u32,
): void {
  const wholes = i32x4.splat(whole);
  const parts = i32x4.splat(part);
  const reach = (radius + 1) * step;
  for (let y: usize = 0; y < height; y++) {
    for (let x: usize = 0; x < rowBytes; x += 16) {
      const p = source + y * stride + x;
      let left = i16x8.splat(0);
      let right = i16x8.splat(0);
      const last = p + reach;
      for (let q = p - reach + step; q < last; q += step) {
        const values = v128.load(q);
        left = i16x8.add(left, i16x8.extend_low_i8x16_u(values));
        right = i16x8.add(right, i16x8.extend_high_i8x16_u(values));
      }
      const before = v128.load(p - reach);
      const after = v128.load(last);
      const farLeft = i16x8.add(i16x8.extend_low_i8x16_u(before), i16x8.extend_low_i8x16_u(after));
      const farRight = i16x8.add(i16x8.extend_high_i8x16_u(before), i16x8.extend_high_i8x16_u(after));
      const s0 = weigh(i32x4.extend_low_i16x8_u(left), i32x4.extend_low_i16x8_u(farLeft), wholes, parts);
      const s1 = weigh(i32x4.extend_high_i16x8_u(left), i32x4.extend_high_i16x8_u(farLeft), wholes, parts);
      const s2 = weigh(i32x4.extend_low_i16x8_u(right), i32x4.extend_low_i16x8_u(farRight), wholes, parts);
      const s3 = weigh(i32x4.extend_high_i16x8_u(right), i32x4.extend_high_i16x8_u(farRight), wholes, parts);
      v128.store(
        out + y * stride + x,
        i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(s0, s1), i16x8.narrow_i32x4_s(s2, s3)),
      );
    }
  }
}

/**
 * A symmetric separable filter in float32, rounded half to even at the end: down into `line` (one row with its side
 * margins, `line` being its first pixel), then across. `weights`: radius + 1 floats, the middle first. The frame must
 * reach `radius` on all sides.
 */
export function symmetricFilter(
  source: usize,
  out: usize,
  outStride: usize,
  stride: usize,
  rowBytes: usize,
  height: usize,
  line: usize,
  weights: usize,
  radius: usize,
): void {
  const margin = radius * 3;
  for (let y: usize = 0; y < height; y++) {
    const row = source + y * stride - margin;
    const lineStart = line - margin * 4;
    for (let x: usize = 0; x < rowBytes + 2 * margin; x += 16) {
      const p = row + x;
      const middle = v128.load(p);
      let left = i16x8.extend_low_i8x16_u(middle);
      let right = i16x8.extend_high_i8x16_u(middle);
      let weight = v128.load32_splat(weights);
      let s0 = f32x4.mul(weight, f32x4.convert_i32x4_u(i32x4.extend_low_i16x8_u(left)));
      let s1 = f32x4.mul(weight, f32x4.convert_i32x4_u(i32x4.extend_high_i16x8_u(left)));
      let s2 = f32x4.mul(weight, f32x4.convert_i32x4_u(i32x4.extend_low_i16x8_u(right)));
      let s3 = f32x4.mul(weight, f32x4.convert_i32x4_u(i32x4.extend_high_i16x8_u(right)));
      for (let i: usize = 1; i <= radius; i++) {
        const above = v128.load(p - i * stride);
        const below = v128.load(p + i * stride);
        left = i16x8.add(i16x8.extend_low_i8x16_u(above), i16x8.extend_low_i8x16_u(below));
        right = i16x8.add(i16x8.extend_high_i8x16_u(above), i16x8.extend_high_i8x16_u(below));
        weight = v128.load32_splat(weights + (i << 2));
        s0 = f32x4.add(s0, f32x4.mul(weight, f32x4.convert_i32x4_u(i32x4.extend_low_i16x8_u(left))));
        s1 = f32x4.add(s1, f32x4.mul(weight, f32x4.convert_i32x4_u(i32x4.extend_high_i16x8_u(left))));
        s2 = f32x4.add(s2, f32x4.mul(weight, f32x4.convert_i32x4_u(i32x4.extend_low_i16x8_u(right))));
        s3 = f32x4.add(s3, f32x4.mul(weight, f32x4.convert_i32x4_u(i32x4.extend_high_i16x8_u(right))));
      }
      const q = lineStart + (x << 2);
      v128.store(q, s0);
      v128.store(q, s1, 16);
      v128.store(q, s2, 32);
      v128.store(q, s3, 48);
    }
    for (let x: usize = 0; x < rowBytes; x += 4) {
      const p = line + (x << 2);
      let sum = f32x4.mul(v128.load32_splat(weights), v128.load(p));
      for (let i: usize = 1; i <= radius; i++) {
        const both = f32x4.add(v128.load(p - i * 12), v128.load(p + i * 12));
        sum = f32x4.add(sum, f32x4.mul(v128.load32_splat(weights + (i << 2)), both));
      }
      const rounded = i32x4.trunc_sat_f32x4_s(f32x4.nearest(sum));
      const shorts = i16x8.narrow_i32x4_s(rounded, rounded);
      v128.store32_lane(out + y * outStride + x, i8x16.narrow_i16x8_u(shorts, shorts), 0);
    }
  }
}
