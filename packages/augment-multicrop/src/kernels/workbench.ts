import { CHANNELS, type RgbImage } from '../image.js';
import type { Box } from '../operations/crop-box.js';
import { resampleTable, type Interpolation, type ResampleTable } from '../operations/resample-table.js';
import type { BoxBlur } from '../operations/box-blur.js';
import { Kernels } from './kernels.js';

/** Bytes behind every region that kernels may touch: they work in blocks of 16. */
const SLACK = 64;
/** Behind the tables of the hue (assembly/hue.ts), which begin at 0: 7 of 65536 bytes and two small ones. */
const PICTURE = 7 * 65536 + 256 * 20;
/** Pillow resizes a picture this many times as tall as wide in the other order (`Image.resize`, "tall images"). */
const TALL = 100;
/** Pictures are resampled across in strips of about this many bytes, so that a huge one is never copied whole. */
const STRIP_BYTES = 1 << 20;

function align(n: number): number {
  return (n + 15) & ~15;
}

/**
 * One picture in WebAssembly memory, changed in place by operations with Pillow's meaning. Everything is synchronous; a
 * thread needs one workbench.
 */
export class Workbench {
  readonly #kernels = new Kernels();
  #hueReady = false;
  #width = 0;
  #height = 0;
  /** Where scratch memory begins: behind the picture. */
  #scratch = 0;

  get #pixels(): number {
    return this.#width * this.#height;
  }

  get #byteLength(): number {
    return this.#pixels * CHANNELS;
  }

  #setSize(width: number, height: number): void {
    this.#width = width;
    this.#height = height;
    this.#scratch = align(PICTURE + this.#byteLength + SLACK);
    this.#kernels.reserve(this.#scratch);
  }

  /** Takes a rectangle of a picture. */
  load(image: RgbImage, box: Box): void {
    this.#setSize(box.width, box.height);
    this.#copyIn(image, box, PICTURE);
  }

  /** Copies the picture into `out`, `width * height * 3` bytes. */
  store(out: Uint8Array): void {
    out.set(this.#kernels.bytes.subarray(PICTURE, PICTURE + this.#byteLength));
  }

  /** The picture as a fresh one. */
  toImage(): RgbImage {
    const data = new Uint8Array(this.#byteLength);
    this.store(data);
    return { data, width: this.#width, height: this.#height };
  }

  #copyIn({ data, width }: RgbImage, box: Box, to: number): void {
    const { bytes } = this.#kernels;
    const rowBytes = box.width * CHANNELS;
    const start = (box.top * width + box.left) * CHANNELS;
    if (box.width === width) {
      bytes.set(data.subarray(start, start + box.height * rowBytes), to);
      return;
    }
    for (let y = 0; y < box.height; y++) {
      const from = start + y * width * CHANNELS;
      bytes.set(data.subarray(from, from + rowBytes), to + y * rowBytes);
    }
  }

  /** Copies weights to an address and gives the one behind them. */
  #putTable(table: ResampleTable, at: number): number {
    const end = align(at + table.data.byteLength);
    this.#kernels.reserve(end);
    this.#kernels.bytes.set(new Uint8Array(table.data.buffer), at);
    return end;
  }

  /**
   * Takes a rectangle of a picture, resized. As in Pillow 12 the crop alone is resampled, across, then down, rounded to
   * bytes between; an axis that keeps its size is left alone.
   */
  loadResized(image: RgbImage, box: Box, width: number, height: number, interpolation: Interpolation): void {
    const across = box.width !== width;
    const down = box.height !== height;
    if (!down && !across) return this.load(image, box);
    if (across && box.height > TALL * box.width && height < box.height) {
      this.loadResized(image, box, box.width, height, interpolation);
      const squat = this.toImage();
      return this.loadResized(squat, { top: 0, left: 0, width: box.width, height }, width, height, interpolation);
    }
    this.#setSize(width, height);
    const rowBytes = width * CHANNELS;
    // Pictures with all rows of the crop and the wanted width: between the passes, or the result itself.
    const middle = down ? this.#scratch : PICTURE;
    let free = down ? align(middle + (box.height + 1) * rowBytes + SLACK) : this.#scratch;
    this.#kernels.reserve(free);
    if (across) free = this.#resizeAcross(image, box, middle, free, interpolation);
    else this.#copyIn(image, box, middle);
    if (down) {
      const table = resampleTable(box.height, height, interpolation);
      this.#putTable(table, free);
      this.#kernels.run.resizeDown(middle, rowBytes, rowBytes, PICTURE, rowBytes, height, free, table.stride);
    }
  }

  #resizeAcross(image: RgbImage, box: Box, to: number, free: number, interpolation: Interpolation): number {
    const table = resampleTable(box.width, this.#width, interpolation);
    const strip = this.#putTable(table, free);
    const stripStride = box.width * CHANNELS;
    const rowBytes = this.#width * CHANNELS;
    const stripRows = Math.min(box.height, Math.max(2, Math.floor(STRIP_BYTES / stripStride)));
    const end = align(strip + stripRows * stripStride + SLACK);
    this.#kernels.reserve(end);
    for (let top = 0; top < box.height; top += stripRows) {
      const rows = Math.min(stripRows, box.height - top);
      this.#copyIn(image, { top: box.top + top, left: box.left, width: box.width, height: rows }, strip);
      this.#kernels.run.resizeAcross(
        strip,
        stripStride,
        rows,
        to + top * rowBytes,
        rowBytes,
        this.#width,
        free,
        table.stride,
      );
    }
    return end;
  }

  /** Mirrors left and right. */
  flip(): void {
    this.#kernels.run.flip(PICTURE, this.#width, this.#height);
  }

  /** Blends with black. */
  brightness(factor: number): void {
    this.#kernels.run.blendWithConstant(PICTURE, this.#byteLength, 0, factor);
  }

  /** Blends with the mean luma of the whole picture, rounded half up. */
  contrast(factor: number): void {
    const end = PICTURE + this.#byteLength;
    this.#kernels.bytes.fill(0, end, end + SLACK);
    const mean = Math.floor(this.#kernels.run.lumaSum(PICTURE, this.#pixels) / this.#pixels + 0.5);
    this.#kernels.run.blendWithConstant(PICTURE, this.#byteLength, mean, factor);
  }

  /** Blends every pixel with its luma. */
  saturation(factor: number): void {
    this.#kernels.run.blendWithLuma(PICTURE, this.#pixels, factor);
  }

  /** Adds to the 8-bit hue, 0..255 for a whole turn, by way of 8-bit HSV (lossy even for 0). */
  hue(shift: number): void {
    if (!this.#hueReady) this.#kernels.run.hueTables(0);
    this.#hueReady = true;
    this.#kernels.run.shiftHue(PICTURE, this.#pixels, shift, 0);
  }

  /** Luma in all channels. */
  grayscale(): void {
    this.#kernels.run.grayscale(PICTURE, this.#pixels);
  }

  /** Inverts bytes at or above the threshold, 0..255. */
  solarize(threshold: number): void {
    this.#kernels.run.solarize(PICTURE, this.#byteLength, threshold);
  }

  /** Copies the picture into a frame at `base`; the addresses of its first pixel and behind it. */
  #frame(base: number, stride: number, margin: number): { origin: number; end: number } {
    const origin = base + margin * stride + margin * CHANNELS;
    return { origin, end: align(base + (this.#height + 2 * margin) * stride + SLACK) };
  }

  /** Box passes, across then down, edges repeated. */
  boxBlur({ radius, whole, part }: BoxBlur, passes: number): void {
    const { run } = this.#kernels;
    const [width, height] = [this.#width, this.#height];
    const margin = radius + 1;
    const rowBytes = width * CHANNELS;
    const stride = align((width + 2 * margin) * CHANNELS + 16);
    const first = this.#frame(this.#scratch, stride, margin);
    const second = this.#frame(first.end, stride, margin);
    this.#kernels.reserve(second.end);
    let [from, to] = [first.origin, second.origin];
    run.copyRows(PICTURE, rowBytes, from, stride, rowBytes, height);
    for (const step of [CHANNELS, stride]) {
      for (let pass = 0; pass < passes; pass++) {
        if (step === CHANNELS) run.frameSides(from, stride, width, height, margin, false);
        else run.frameEnds(from, stride, height, margin, false);
        run.boxPass(from, to, stride, rowBytes, height, step, radius, whole, part);
        [from, to] = [to, from];
      }
    }
    run.copyRows(from, stride, PICTURE, rowBytes, rowBytes, height);
  }

  /** A separable symmetric filter, `weights` from the middle outwards, edges mirrored. */
  symmetricFilter(weights: Float32Array): void {
    const { run } = this.#kernels;
    const [width, height] = [this.#width, this.#height];
    const margin = weights.length - 1;
    const rowBytes = width * CHANNELS;
    const stride = align((width + 2 * margin) * CHANNELS + 16);
    const { origin, end } = this.#frame(this.#scratch, stride, margin);
    const weightsAt = end;
    const line = align(weightsAt + weights.byteLength + SLACK);
    this.#kernels.reserve(line + (stride + SLACK) * 4);
    this.#kernels.bytes.set(new Uint8Array(weights.buffer, weights.byteOffset, weights.byteLength), weightsAt);
    run.copyRows(PICTURE, rowBytes, origin, stride, rowBytes, height);
    run.frameSides(origin, stride, width, height, margin, true);
    run.frameEnds(origin, stride, height, margin, true);
    const lineOrigin = line + margin * CHANNELS * 4;
    run.symmetricFilter(origin, PICTURE, rowBytes, stride, rowBytes, height, lineOrigin, weightsAt, margin);
  }
}

let shared: Workbench | undefined;

/** This thread's workbench, made on first use. */
export function workbench(): Workbench {
  return (shared ??= new Workbench());
}
