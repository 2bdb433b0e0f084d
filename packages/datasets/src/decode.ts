import { readFile } from 'node:fs/promises';
import { isMainThread } from 'node:worker_threads';
import { SslError } from '@selfsup/core';
import sharp from 'sharp';
import type { ImageSource, PlanarSource, RgbImage, RgbSource } from './image-source.js';

export type { EncodedSource, FileSource, ImageSource, PlanarSource, RgbImage, RgbSource } from './image-source.js';

/** Largest image decoded by default: 100 million pixels, 300 MB. */
export const DEFAULT_PIXEL_LIMIT = 100_000_000;

/** Options of {@link decode}. */
export interface DecodeOptions {
  /** Images of more pixels are refused before anything is allocated. Default {@link DEFAULT_PIXEL_LIMIT}. */
  readonly pixelLimit?: number;
  /** What to do with a damaged image: refuse it, or take what can be read of it. Default `refuse`. */
  readonly damaged?: 'refuse' | 'read-partly';
}

function unreadable(name: string, got: string, cause?: unknown): SslError {
  return new SslError('IMAGE_UNREADABLE', {
    where: 'datasets.decode',
    expected: 'a JPEG, PNG, WebP, GIF, AVIF or TIFF image',
    got: `${name}: ${got}`,
    fix: 'replace or remove the image',
    details: { path: name, reason: got },
    ...(cause === undefined ? {} : { cause }),
  });
}

const startsWith = (bytes: Uint8Array, text: string, at = 0): boolean =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1', at, at + text.length) === text;

/** Tests on the first bytes of a file. Whatever else the decoder could take (SVG, which can name other files) is refused. */
const FORMATS: readonly ((bytes: Uint8Array) => boolean)[] = [
  (bytes) => startsWith(bytes, '\xff\xd8\xff'),
  (bytes) => startsWith(bytes, '\x89PNG'),
  (bytes) => startsWith(bytes, 'RIFF') && startsWith(bytes, 'WEBP', 8),
  (bytes) => startsWith(bytes, 'GIF8'),
  (bytes) => startsWith(bytes, 'ftyp', 4),
  (bytes) => ['II*\0', 'II+\0', 'MM\0*', 'MM\0+'].some((magic) => startsWith(bytes, magic)),
];

/** libvips repeats itself over several lines and may end in a colon with nothing after it. */
function firstReason(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.split('\n', 1)[0].replace(/:\s*$/, '');
}

let workerPrepared = false;

/** In a worker, parallelism comes from the workers: libvips gets one thread and keeps no cache of images seen once. */
function prepareWorker(): void {
  if (workerPrepared || isMainThread) return;
  workerPrepared = true;
  sharp.concurrency(1);
  sharp.cache(false);
}

async function decodeEncoded(bytes: Uint8Array, name: string, options: DecodeOptions): Promise<RgbImage> {
  if (bytes.length === 0) throw unreadable(name, 'the file is empty');
  if (!FORMATS.some((matches) => matches(bytes))) throw unreadable(name, 'none of these formats');
  prepareWorker();
  try {
    const { data, info } = await sharp(bytes, {
      autoOrient: true,
      failOn: options.damaged === 'read-partly' ? 'none' : 'warning',
      limitInputPixels: options.pixelLimit ?? DEFAULT_PIXEL_LIMIT,
    })
      .toColourspace('srgb')
      .removeAlpha()
      .raw({ depth: 'uchar' })
      .toUint8Array();
    if (info.channels !== 3) throw new TypeError(`decoded to ${info.channels} channels`);
    const pixels = new Uint8Array(data.buffer, data.byteOffset, data.length);
    return { data: pixels, width: info.width, height: info.height };
  } catch (cause) {
    throw unreadable(name, firstReason(cause), cause);
  }
}

function checkPixels(source: RgbSource | PlanarSource, available: number): number {
  const needed = 3 * source.width * source.height;
  const offset = source.kind === 'planar' ? source.offset : 0;
  const fits = source.kind === 'planar' ? offset >= 0 && offset + needed <= available : needed === available;
  if (source.width >= 1 && source.height >= 1 && Number.isInteger(needed) && fits) return needed;
  throw new SslError('SHAPE_MISMATCH', {
    where: 'datasets.decode',
    expected: `3 bytes for each of ${source.width} x ${source.height} pixels`,
    got: `${available} bytes${offset === 0 ? '' : `, starting at ${offset}`}`,
    fix: 'pass RGB bytes of that size',
    details: { width: source.width, height: source.height, offset, bytes: available },
  });
}

function interleave(source: PlanarSource): RgbImage {
  const { width, height } = source;
  const planes = new Uint8Array(source.buffer);
  const data = new Uint8Array(checkPixels(source, planes.length));
  const area = width * height;
  for (let pixel = 0, from = source.offset, to = 0; pixel < area; pixel++, from++, to += 3) {
    data[to] = planes[from];
    data[to + 1] = planes[from + area];
    data[to + 2] = planes[from + 2 * area];
  }
  return { data, width, height };
}

/**
 * Decodes an image to RGB bytes, in a worker or on the main thread. EXIF orientation is applied; gray, palette, CMYK,
 * 16-bit and profiled images become 8-bit sRGB; alpha is dropped, the colour under it stays (as Pillow's
 * `convert('RGB')`); of an animation the first frame is taken. The content of a file decides, not its extension.
 *
 * An `rgb` source is handed through without a copy, so do not write into the result.
 *
 * @returns `data` is `[height, width, 3]` bytes, 0..255
 * @throws SslError `IMAGE_UNREADABLE` (with `details.path`) for anything that cannot be decoded, is damaged, is larger
 *   than the pixel limit, or is no photograph format (SVG); `SHAPE_MISMATCH` for pixels in memory of another size
 *
 * @example
 * const { data, width, height } = await decode({ kind: 'file', path: 'photo.jpg' });
 */
export async function decode(source: ImageSource, options: DecodeOptions = {}): Promise<RgbImage> {
  switch (source.kind) {
    case 'planar':
      return interleave(source);
    case 'rgb':
      checkPixels(source, source.data.length);
      return { data: source.data, width: source.width, height: source.height };
    case 'encoded':
      return decodeEncoded(source.data, source.name, options);
    case 'file': {
      const bytes = await readFile(source.path).catch((cause: unknown) => {
        throw unreadable(source.path, firstReason(cause), cause);
      });
      return decodeEncoded(bytes, source.path, options);
    }
  }
}
