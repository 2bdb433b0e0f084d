import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeWithData, propertyOptions } from '@selfsup/test-kit';
import fc from 'fast-check';
import sharp from 'sharp';
import { beforeAll, describe, expect, test } from 'vitest';
import { decode, type RgbImage } from '../../src/decode.js';
import { temporaryFolder } from '../support/folders.js';

/** Mean absolute difference of two images of one size. */
function difference(a: RgbImage, b: Uint8Array): number {
  expect(a.data.length).toBe(b.length);
  let sum = 0;
  for (let i = 0; i < b.length; i++) sum += Math.abs(a.data[i] - b[i]);
  return sum / b.length;
}

const encoded = (data: Uint8Array): { kind: 'encoded'; data: Uint8Array; name: string } => ({
  kind: 'encoded',
  data,
  name: 'made here',
});

describe('images made here', () => {
  test('colour under transparency stays, fully transparent too', async () => {
    const rgba = Buffer.from([200, 100, 50, 0, 10, 20, 30, 255]);
    const png = await sharp(rgba, { raw: { width: 2, height: 1, channels: 4 } })
      .png()
      .toBuffer();
    expect((await decode(encoded(png))).data).toEqual(new Uint8Array([200, 100, 50, 10, 20, 30]));
  });

  test('16 bits become 8, with and without alpha', async () => {
    const png = await sharp({
      create: { width: 2, height: 2, channels: 4, background: { r: 100, g: 50, b: 25, alpha: 0.2 } },
    })
      .toColourspace('rgb16')
      .png()
      .toBuffer();
    expect((await sharp(png).metadata()).depth).toBe('ushort');
    expect((await decode(encoded(png))).data.subarray(0, 3)).toEqual(new Uint8Array([100, 50, 25]));
  });

  test('AVIF and TIFF are read, BMP and PDF are not', async () => {
    const raw = { create: { width: 8, height: 8, channels: 3, background: '#123456' } } as const;
    expect(await decode(encoded(await sharp(raw).avif().toBuffer()))).toMatchObject({ width: 8, height: 8 });
    expect(
      (await decode(encoded(await sharp(raw).tiff({ compression: 'deflate' }).toBuffer()))).data.subarray(0, 3),
    ).toEqual(new Uint8Array([0x12, 0x34, 0x56]));
    for (const start of ['BM', '%PDF-1.4']) {
      await expect(decode(encoded(Buffer.from(start.padEnd(64, ' '))))).rejects.toMatchObject({
        code: 'IMAGE_UNREADABLE',
      });
    }
  });

  test('the pixel limit is an option', async () => {
    const png = await sharp({ create: { width: 11, height: 10, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
    await expect(decode(encoded(png), { pixelLimit: 109 })).rejects.toThrow(/pixel limit/);
    expect(await decode(encoded(png), { pixelLimit: 110 })).toMatchObject({ width: 11, height: 10 });
  });

  test('a path that is not there and a folder are unreadable images with their path', async () => {
    const folder = await temporaryFolder();
    for (const path of [join(folder, 'none.jpg'), folder]) {
      const refused = decode({ kind: 'file', path });
      await expect(refused).rejects.toMatchObject({ code: 'IMAGE_UNREADABLE', details: { path } });
      await expect(refused).rejects.toThrow('replace or remove the image');
    }
  });

  test('planes are interleaved, from any offset', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(20),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 6 }),
        async (offset, width, height) => {
          const area = width * height;
          const bytes = new Uint8Array(new SharedArrayBuffer(offset + 3 * area + 5));
          bytes.forEach((_, i) => (bytes[i] = i));
          const { data } = await decode({ kind: 'planar', buffer: bytes.buffer, offset, width, height });
          for (let p = 0; p < area; p++) {
            expect([...data.subarray(3 * p, 3 * p + 3)]).toEqual([
              offset + p,
              offset + area + p,
              offset + 2 * area + p,
            ]);
          }
        },
      ),
      propertyOptions(),
    );
  });

  test('pixels in memory of another size are refused', async () => {
    const data = new Uint8Array(12);
    await expect(decode({ kind: 'rgb', data, width: 2, height: 2 })).resolves.toMatchObject({ width: 2 });
    await expect(decode({ kind: 'rgb', data, width: 2, height: 1 })).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' });
    await expect(decode({ kind: 'rgb', data, width: 0, height: 2 })).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' });
    await expect(decode({ kind: 'planar', buffer: data.buffer, offset: 1, width: 2, height: 2 })).rejects.toThrow(
      /starting at 1/,
    );
  });

  test('random bytes behind a good start never get past as an image', async () => {
    const jpeg = await sharp({ create: { width: 32, height: 32, channels: 3, background: 'red' } })
      .jpeg()
      .toBuffer();
    await fc.assert(
      fc.asyncProperty(fc.nat(jpeg.length - 3), fc.uint8Array({ minLength: 1, maxLength: 40 }), async (cut, tail) => {
        const broken = Buffer.concat([jpeg.subarray(0, cut), tail]);
        await decode(encoded(broken)).then(
          (image) => expect(image.data.length).toBe(3 * image.width * image.height),
          (error: unknown) => expect(error).toMatchObject({ code: 'IMAGE_UNREADABLE' }),
        );
      }),
      propertyOptions(),
    );
  });
});

interface Listed {
  readonly file: string;
  readonly kind: 'valid' | 'damaged' | 'other';
  readonly upright?: readonly [number, number];
  readonly sharp: {
    readonly decode_default: { readonly ok: boolean; readonly width?: number; readonly height?: number };
  };
}

describeWithData('unusual and damaged images', 'bad-images', (directory) => {
  const { files } = JSON.parse(readFileSync(join(directory, 'manifest.json'), 'utf8')) as { files: readonly Listed[] };
  const source = (file: string): { kind: 'file'; path: string } => ({ kind: 'file', path: join(directory, file) });
  let reference: Uint8Array;
  beforeAll(async () => {
    reference = (await decode(source('rgb-reference.png'))).data;
  });

  const valid = files.filter((file) => file.kind === 'valid');
  const damaged = files.filter((file) => file.kind === 'damaged');
  const other = files.filter((file) => file.kind === 'other');
  test('the manifest lists files of every kind', () => {
    expect([valid.length, damaged.length, other.length].every((count) => count > 0)).toBe(true);
  });

  test.each(valid)('valid: $file', async ({ file, upright, sharp: reported }) => {
    const image = await decode(source(file));
    const { width, height } = reported.decode_default;
    expect([image.width, image.height]).toEqual(upright ?? [width, height]);
    expect(image.data.length).toBe(3 * image.width * image.height);
  });

  test.each(damaged)('damaged: $file', async ({ file }) => {
    const refused = decode(source(file));
    await expect(refused).rejects.toMatchObject({ code: 'IMAGE_UNREADABLE', details: { path: join(directory, file) } });
    await expect(refused).rejects.toThrow(join(directory, file));
  });

  test.each(other)('other, read or refused: $file', async ({ file }) => {
    await decode(source(file)).then(
      (image) => expect(image.data.length).toBe(3 * image.width * image.height),
      (error: unknown) => expect(error).toMatchObject({ code: 'IMAGE_UNREADABLE' }),
    );
  });

  const present = (...names: string[]): string[] => names.filter((name) => files.some(({ file }) => file === name));
  test.each(present('vector.svg', 'svg-content.png', 'bomb-12000x12000.png'))('refused: %s', async (file) => {
    await expect(decode(source(file))).rejects.toMatchObject({ code: 'IMAGE_UNREADABLE' });
  });

  test.each(present('rgb16.png', 'rgba-gradient.png', 'interlaced.png', 'still-lossless.webp', 'png-content.jpg'))(
    'equals the reference: %s',
    async (file) => {
      expect(difference(await decode(source(file)), reference)).toBe(0);
    },
  );

  // Mean differences in grey levels; a picture turned the wrong way is at 46 and more.
  test.each([
    ...present(
      'exif-orientation-3.jpg',
      'exif-orientation-5.jpg',
      'exif-orientation-6.jpg',
      'exif-orientation-8.jpg',
    ).map((file) => [file, 3] as const),
    ...present('icc-p3.jpg', 'animated.gif', 'animated.webp', 'jpeg-content.png', 'progressive-420.jpg').map(
      (f) => [f, 6] as const,
    ),
    // Sixteen colours, and CMYK without a profile.
    ...present('palette.png', 'cmyk.jpg').map((file) => [file, 12] as const),
  ])('near the reference: %s', async (file, limit) => {
    expect(difference(await decode(source(file)), reference)).toBeLessThan(limit);
  });

  test.each(present('gray.jpg', 'gray16.png'))('gray of the reference: %s', async (file) => {
    const luma = reference.map((_, i) => {
      const [r, g, b] = reference.subarray(i - (i % 3), i - (i % 3) + 3);
      return Math.round(0.299 * r + 0.587 * g + 0.114 * b);
    });
    expect(difference(await decode(source(file)), luma)).toBeLessThan(6);
  });

  test('a damaged image can be read in part by choice, one without pixels cannot', async () => {
    const image = await decode(source('truncated-half.jpg'), { damaged: 'read-partly' });
    expect([image.width, image.height]).toEqual([192, 128]);
    const upper = (192 * 128 * 3) / 4;
    expect(difference({ ...image, data: image.data.subarray(0, upper) }, reference.subarray(0, upper))).toBeLessThan(6);
    await expect(decode(source('zero-byte.jpg'), { damaged: 'read-partly' })).rejects.toMatchObject({
      code: 'IMAGE_UNREADABLE',
    });
  });
});

describeWithData('photographs', 'photos', (directory) => {
  test('one-channel JPEGs and colour ones decode to three channels', async () => {
    const { openDataset } = await import('../../src/index.js');
    const dataset = await openDataset(directory);
    for (let i = 0; i < dataset.size; i += 7) {
      const image = await decode(dataset.source(i));
      expect(Math.min(image.width, image.height)).toBeGreaterThanOrEqual(150);
      expect(image.data.length).toBe(3 * image.width * image.height);
    }
  });
});
