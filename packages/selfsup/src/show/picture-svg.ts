import sharp from 'sharp';
import type { RgbImage } from '@selfsup/datasets';
import { escapeMarkup, fitText } from '../report/markup.js';

/** Colours of the pictures `show` writes: dark on white. */
const INK = '#1f2328';

/** Sides up to which pixels are shown as squares instead of being smoothed. */
const PIXEL_ART = 64;

/** An image as a data URI: small ones as PNG, larger ones as JPEG, brought to at most `largest` pixels a side. */
export async function imageDataUri(image: RgbImage, largest = Infinity): Promise<string> {
  const { data, width, height } = image;
  const picture = sharp(data, { raw: { width, height, channels: 3 } });
  if (Math.max(width, height) > largest) picture.resize(largest, largest, { fit: 'inside' });
  const small = Math.max(width, height) <= PIXEL_ART;
  const bytes = await (small ? picture.png() : picture.jpeg({ quality: 85 })).toBuffer();
  return `data:image/${small ? 'png' : 'jpeg'};base64,${bytes.toString('base64')}`;
}

/** An image scaled to a size as a PNG data URI; small pictures keep their pixels as squares. */
async function scaledDataUri(image: RgbImage, width: number, height: number): Promise<string> {
  const enlarged = Math.max(image.width, image.height) <= PIXEL_ART && width >= 2 * image.width;
  const bytes = await sharp(image.data, { raw: { width: image.width, height: image.height, channels: 3 } })
    .resize(width, height, { fit: 'fill', kernel: enlarged ? 'nearest' : 'lanczos3' })
    .png()
    .toBuffer();
  return `data:image/png;base64,${bytes.toString('base64')}`;
}

export interface ImageOptions {
  readonly width: number;
  /** Default: as wide as high. */
  readonly height?: number;
  /** Colour of a frame around it. */
  readonly frame?: string;
  /** Below 1 what lies under it is seen through it. */
  readonly opacity?: number;
}

/** A picture being put together from images, frames and words, in pixels. */
export interface Sheet {
  image(image: RgbImage, x: number, y: number, options: ImageOptions): Promise<void>;
  /** @param room - Width to keep to; longer text is cut. */
  text(x: number, y: number, value: string, options?: { size?: number; room?: number; muted?: boolean }): void;
  png(): Promise<Buffer>;
}

const FRAME = 3;

/** An empty white sheet. */
export function sheet(width: number, height: number): Sheet {
  const parts = [`<rect width="${width}" height="${height}" fill="#fff"/>`];
  return {
    async image(image, x, y, { width: w, height: h = w, frame, opacity = 1 }) {
      if (frame !== undefined) {
        parts.push(
          `<rect x="${x - FRAME / 2}" y="${y - FRAME / 2}" width="${w + FRAME}" height="${h + FRAME}" fill="none" stroke="${frame}" stroke-width="${FRAME}"/>`,
        );
      }
      // Places are kept before waiting, so that images may be drawn at once and still lie in order.
      const place = parts.push('') - 1;
      parts[place] =
        `<image x="${x}" y="${y}" width="${w}" height="${h}" opacity="${opacity}" href="${await scaledDataUri(image, w, h)}"/>`;
    },
    text(x, y, value, { size = 13, room = width - x, muted = false } = {}) {
      parts.push(
        `<text x="${x}" y="${y}" font-family="'DejaVu Sans', sans-serif" font-size="${size}" fill="${muted ? '#59636e' : INK}">` +
          `${escapeMarkup(fitText(value, size, room))}</text>`,
      );
    },
    png: () =>
      sharp(
        Buffer.from(
          `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${parts.join('')}</svg>`,
        ),
        { density: 72, unlimited: true },
      )
        .png()
        .toBuffer(),
  };
}
