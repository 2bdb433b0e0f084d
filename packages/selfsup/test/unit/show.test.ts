import { propertyOptions } from '@selfsup/test-kit';
import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { meanOfHeads } from '../../src/show/attention-maps.js';
import { heatMap, stretched } from '../../src/show/heat-map.js';
import { neighbourPicture } from '../../src/show/neighbour-picture.js';
import { imageDataUri, sheet } from '../../src/show/picture-svg.js';
import { outputNames } from '../../src/show/pictures.js';

const grey = (width: number, height: number, value: number) => ({
  data: new Uint8Array(width * height * 3).fill(value),
  width,
  height,
});

describe('a heat map', () => {
  const lightness = (data: Uint8Array, i: number): number => data[3 * i] + data[3 * i + 1] + data[3 * i + 2];

  it('goes from dark at the lowest value to bright at the highest', () => {
    const { data } = heatMap({ values: Float32Array.of(0, 1, 2, 3), rows: 2, columns: 2 }, 2, 2);
    const order = [0, 1, 2, 3].map((i) => lightness(data, i));
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(order[0]).toBeLessThan(20);
    expect(order[3]).toBeGreaterThan(600);
  });

  it('is smooth between the patches and keeps their values at the centres', () => {
    const { data } = heatMap({ values: Float32Array.of(0, 1), rows: 1, columns: 2 }, 40, 1);
    for (let x = 1; x < 40; x++) expect(lightness(data, x)).toBeGreaterThanOrEqual(lightness(data, x - 1) - 12);
    expect(lightness(data, 0)).toBe(lightness(data, 9));
  });

  it('of equal values is dark, not an error', () => {
    expect([...stretched(Float32Array.of(2, 2, 2))]).toEqual([0, 0, 0]);
  });

  it('of all heads is their mean', () => {
    const of = (...values: number[]) => ({ values: Float32Array.from(values), rows: 1, columns: values.length });
    expect([...meanOfHeads([of(1, 2), of(3, 6)]).values]).toEqual([2, 4]);
  });
});

describe('file names of pictures', () => {
  it('are safe, and different for images of one name', () => {
    expect(outputNames('x', ['a/0.png', 'b/0.jpg', 'my cat?.JPG', 'a/0-2.png'])).toEqual([
      'x-0.png',
      'x-0-2.png',
      'x-my-cat-.png',
      'x-0-2-2.png',
    ]);
  });

  it('never collide', () => {
    const path = fc.stringMatching(/^[ab]{1,2}(-[12])?$/);
    fc.assert(
      fc.property(fc.array(path, { maxLength: 12 }), (paths) => {
        const names = outputNames('x', paths);
        expect(new Set(names).size).toBe(paths.length);
      }),
      propertyOptions(200),
    );
  });
});

describe('a sheet', () => {
  it('places images, and keeps odd words from being markup', async () => {
    const picture = sheet(100, 40);
    picture.text(2, 12, '<&>"\u0001 a very long title that does not fit into this little picture at all');
    await picture.image(grey(10, 10, 0), 60, 20, { width: 20, frame: '#ff0000' });
    const { data, info } = await sharp(await picture.png())
      .removeAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect([info.width, info.height]).toEqual([100, 40]);
    const at = (x: number, y: number): number[] => [...data.subarray((y * 100 + x) * 3, (y * 100 + x) * 3 + 3)];
    expect(at(70, 30)).toEqual([0, 0, 0]);
    expect(at(59, 30)).toEqual([255, 0, 0]);
    expect(at(95, 35)).toEqual([255, 255, 255]);
  });

  it('of neighbours has a green frame around those of the same class', async () => {
    const row = {
      query: grey(8, 8, 200),
      groups: [[{ image: grey(8, 8, 100), same: true }, { image: grey(8, 8, 100) }]],
    };
    const png = await neighbourPicture([row], { groups: ['near'] }, 40);
    const { data, info } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
    const colours = new Set<string>();
    for (let i = 0; i < info.width * info.height; i++) colours.add(data.subarray(3 * i, 3 * i + 3).join());
    expect(colours).toContain('26,127,55');
    expect(colours).toContain('208,215,222');
  });

  it('embeds small pictures without loss and large ones no larger than they are shown', async () => {
    expect(await imageDataUri(grey(32, 32, 7))).toMatch(/^data:image\/png;base64,/);
    const large = await imageDataUri(grey(600, 300, 7), 150);
    const bytes = Buffer.from(large.slice('data:image/jpeg;base64,'.length), 'base64');
    expect(await sharp(bytes).metadata()).toMatchObject({ format: 'jpeg', width: 150, height: 75 });
  });
});
