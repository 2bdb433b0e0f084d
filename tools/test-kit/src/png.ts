import sharp from 'sharp';

/** A picture: interleaved 8-bit RGB, row by row. */
export interface RgbPicture {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** Reads a picture of the fixtures as RGB. */
export async function readPng(path: string): Promise<RgbPicture> {
  const { data, info } = await sharp(path)
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  if (info.channels !== 3) throw new Error(`${path} has ${info.channels} channels`);
  return { data: new Uint8Array(data), width: info.width, height: info.height };
}
