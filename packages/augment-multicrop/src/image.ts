import { SslError } from '@selfsup/core';

/** An 8-bit colour picture: three interleaved channels (red, green, blue), row by row, `width * height * 3` bytes. */
export interface RgbImage {
  readonly data: Uint8Array;
  /** Pixels, at least 1. */
  readonly width: number;
  /** Pixels, at least 1. */
  readonly height: number;
}

/** Channels of every picture here; Pillow's operations (luma, hue) are defined on three. */
export const CHANNELS = 3;

/**
 * Checks that a value really is a picture.
 *
 * @throws SslError `SHAPE_MISMATCH` on sizes below 1 or bytes that do not fit them (grey, alpha, 16 bit)
 */
export function checkImage(where: string, { data, width, height }: RgbImage): void {
  const sized = Number.isInteger(width) && Number.isInteger(height) && width >= 1 && height >= 1;
  if (sized && data instanceof Uint8Array && data.length === width * height * CHANNELS) return;
  throw new SslError('SHAPE_MISMATCH', {
    where,
    expected: 'an RGB image: Uint8Array of width * height * 3 bytes, width and height at least 1',
    got: `${(data as Uint8Array | undefined)?.length ?? 'no'} bytes for ${width} x ${height}`,
    fix: 'decode to 8-bit RGB without alpha, e.g. sharp(file).rotate().removeAlpha().toColourspace("srgb").raw()',
    details: { width, height, bytes: (data as Uint8Array | undefined)?.length },
  });
}
