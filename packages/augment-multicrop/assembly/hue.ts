/**
 * Pillow's 8-bit RGB -> HSV -> RGB with the hue moved, in place, exact (AssemblyScript). Convert.c keeps float32
 * variables and computes with double constants; both precisions are followed step by step. What depends on few bytes is
 * looked up, and nothing branches: pixels of a noisy picture would be guessed wrong too often.
 *
 * With value the largest channel, spread largest - smallest and distance largest - middle, the tables are, in bytes:
 * saturation by [spread][value], 65536; hue by [sector][spread][distance], 6 x 65536; a record of 16 bytes per hue
 * (below), 4096; saturation / 255 as float32, 1024.
 */

const TABLE: usize = 65536;
const RECORDS: usize = 7 * TABLE;
const SATURATIONS: usize = RECORDS + 256 * 16;

/** Channel order by size. Among equals red counts as larger than green, green than blue. */
const RED_GREEN: i32 = 0;
const RED_BLUE: i32 = 1;
const GREEN_RED: i32 = 2;
const GREEN_BLUE: i32 = 3;
const BLUE_RED: i32 = 4;
/** Four bits per answer to red >= green, green >= blue, red >= blue, read as a number; 5 is blue before green. */
const SECTORS: i32 = 0x00142355;

/** Where a hue lies on the circle of six; `middle` is distance / spread, the smallest channel's would be 1. */
function placeOnCircle(sector: i32, middle: f32): f32 {
  if (sector == RED_GREEN) return <f32>1 - middle;
  if (sector == RED_BLUE) return middle - <f32>1;
  if (sector == GREEN_RED) return <f32>(2.0 + <f64>middle - 1.0);
  if (sector == GREEN_BLUE) return <f32>(2.0 + 1.0 - <f64>middle);
  if (sector == BLUE_RED) return <f32>(4.0 + 1.0 - <f64>middle);
  return <f32>(4.0 + <f64>middle - 1.0);
}

/** Bit positions of the full, the sloping and the low channel on a side of the circle. */
function shiftsOf(side: i32): i32 {
  if (side == 1) return 0x100008;
  if (side == 2) return 0x001008;
  if (side == 3) return 0x000810;
  if (side == 4) return 0x080010;
  if (side == 5) return 0x081000;
  return 0x100800;
}

/** Fills the tables. */
export function hueTables(tables: usize): void {
  for (let spread: i32 = 1; spread < 256; spread++) {
    for (let value = spread; value < 256; value++) {
      const s = <f32>spread / <f32>value;
      store<u8>(tables + ((<usize>spread) << 8) + <usize>value, <u8>(<f64>s * 255.0));
    }
    for (let distance: i32 = 0; distance <= spread; distance++) {
      const middle = <f32>distance / <f32>spread;
      for (let sector: i32 = 0; sector < 6; sector++) {
        const turns = <f64>placeOnCircle(sector, middle) / 6.0 + 1.0;
        const h = <f32>(turns - floor<f64>(turns));
        const at = tables + TABLE * <usize>(sector + 1) + ((<usize>spread) << 8) + <usize>distance;
        store<u8>(at, <u8>min<i32>(255, <i32>(<f64>h * 255.0)));
      }
    }
  }
  for (let i: i32 = 0; i < 256; i++) {
    const scaled: f64 = (<f64>i * 6.0) / 255.0;
    const side = <i32>scaled;
    const f = <f32>(scaled - <f64>side);
    const record = tables + RECORDS + ((<usize>i) << 4);
    // Odd sides fall from the full value, even ones rise to it.
    store<f64>(record, side & 1 ? <f64>f : 1.0 - <f64>f);
    store<i32>(record, side & 1, 8);
    store<i32>(record, shiftsOf(side), 12);
    store<f32>(tables + SATURATIONS + ((<usize>i) << 2), <f32>(<f64>i / 255.0));
  }
}

/** Adds `shift` (0..255) to every pixel's hue byte. */
export function shiftHue(data: usize, pixels: usize, shift: i32, tables: usize): void {
  for (let p = data; p < data + pixels * 3; p += 3) {
    const r = <i32>load<u8>(p);
    const g = <i32>load<u8>(p, 1);
    const b = <i32>load<u8>(p, 2);
    const redGreen = r >= g;
    const larger = select(r, g, redGreen);
    const smaller = select(g, r, redGreen);
    const value = select(larger, b, larger >= b);
    const smallest = select(smaller, b, smaller < b);
    const spread = <usize>(value - smallest);
    const distance = <usize>(2 * value + smallest - r - g - b);
    const order = ((<i32>redGreen) << 4) | ((<i32>(g >= b)) << 3) | ((<i32>(r >= b)) << 2);
    const sector = <usize>((SECTORS >> order) & 15);
    const saturation = <usize>load<u8>(tables + (spread << 8) + <usize>value);
    const oldHue = <i32>load<u8>(tables + TABLE * (sector + 1) + (spread << 8) + distance);
    const record = tables + RECORDS + ((<usize>((oldHue + shift) & 255)) << 4);
    const fs = <f64>load<f32>(tables + SATURATIONS + (saturation << 2));
    const product = fs * load<f64>(record);
    // On falling sides Pillow multiplies in float32.
    const part = select(<f64>(<f32>product), product, load<i32>(record, 8));
    const shifts = load<i32>(record, 12);
    // value * (1 - part), rounded half up, for the low and the sloping channel at once.
    const parts = f64x2.replace_lane(f64x2.splat(fs), 1, part);
    const shades = f64x2.mul(f64x2.splat(<f64>value), f64x2.sub(f64x2.splat(1.0), parts));
    const bytes = i32x4.trunc_sat_f64x2_s_zero(f64x2.add(shades, f64x2.splat(0.5)));
    const low = i32x4.extract_lane(bytes, 0);
    const slope = i32x4.extract_lane(bytes, 1);
    const color = (value << (shifts & 31)) | (slope << ((shifts >> 8) & 31)) | (low << (shifts >> 16));
    store<u16>(p, <u16>color);
    store<u8>(p, <u8>(color >> 16), 2);
  }
}
