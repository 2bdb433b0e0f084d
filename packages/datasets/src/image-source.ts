/** An image file, decoded by content; the extension does not matter. */
export interface FileSource {
  readonly kind: 'file';
  readonly path: string;
}

/** An encoded image (JPEG, PNG, ...) in memory. */
export interface EncodedSource {
  readonly kind: 'encoded';
  readonly data: Uint8Array;
  /** For messages. */
  readonly name: string;
}

/** Decoded pixels: RGB interleaved bytes `[height, width, 3]`. */
export interface RgbSource {
  readonly kind: 'rgb';
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** Decoded pixels in planes, `[3, height, width]` bytes from `offset` on, as CIFAR's records have them. */
export interface PlanarSource {
  readonly kind: 'planar';
  readonly buffer: SharedArrayBuffer | ArrayBuffer;
  readonly offset: number;
  readonly width: number;
  readonly height: number;
}

/**
 * Where the pixels of a sample are: plain data that `postMessage` takes, so that a worker can decode it. Pixels in a
 * `SharedArrayBuffer` reach a worker without a copy.
 */
export type ImageSource = FileSource | EncodedSource | RgbSource | PlanarSource;

/** A decoded image: RGB interleaved bytes `[height, width, 3]`, 0..255, sRGB, upright. */
export interface RgbImage {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}
