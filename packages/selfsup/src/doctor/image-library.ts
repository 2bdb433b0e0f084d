import { reason, type Check } from './check.js';

/** Formats pictures come in; all are read, these are written as well to try them. */
const FORMATS = ['jpeg', 'png', 'webp', 'gif', 'tiff', 'avif'] as const;

const REINSTALL = 'reinstall sharp with its platform package: npm install --include=optional sharp';

/** Loads sharp and takes a tiny picture through every format. */
export async function checkSharp(): Promise<Check> {
  const name = 'sharp';
  try {
    const { default: sharp } = await import('sharp');
    const raw = { width: 8, height: 8, channels: 3 } as const;
    const pixels = Buffer.from(Array.from({ length: 8 * 8 * 3 }, (_, i) => i));
    const working: string[] = [];
    const broken: string[] = [];
    for (const format of FORMATS) {
      try {
        const encoded = await sharp(pixels, { raw }).toFormat(format).toBuffer();
        const { info } = await sharp(encoded).raw().toBuffer({ resolveWithObject: true });
        (info.width === 8 && info.height === 8 ? working : broken).push(format);
      } catch {
        broken.push(format);
      }
    }
    const facts = { versions: { sharp: sharp.versions.sharp, libvips: sharp.versions.vips }, formats: working, broken };
    const says = `${sharp.versions.sharp ?? '?'}, libvips ${sharp.versions.vips}, reads ${working.join(', ')}`;
    if (broken.length === 0) return { name, status: 'ok', says, facts };
    const essential = broken.includes('jpeg') || broken.includes('png');
    const fix = essential ? REINSTALL : `convert ${broken.join(' and ')} pictures, or ${REINSTALL}`;
    return { name, status: essential ? 'failed' : 'warning', says: `${says}; not ${broken.join(', ')}`, fix, facts };
  } catch (cause) {
    return { name, status: 'failed', says: `does not load: ${reason(cause)}`, fix: REINSTALL };
  }
}
