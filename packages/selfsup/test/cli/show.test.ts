import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { cutLine, ENGINE, inProcess, jsonOf, makeRun } from './in-process.js';
import { makePictures, temporary } from './support.js';

let folder: string;
let data: string;
let run: string;
let images: string[];

beforeAll(async () => {
  folder = await temporary();
  data = await makePictures(join(folder, 'pictures'), 6);
  run = await makeRun(join(folder, 'run'), data);
  images = [join(data, 'discs', '0.png'), join(data, 'stripes', '0.png')];
});

/** Size of a PNG file; throws for anything else. */
async function sizeOf(path: string): Promise<{ width: number; height: number }> {
  const { format, width, height } = await sharp(path).metadata();
  expect(format).toBe('png');
  return { width, height };
}

describe('show', () => {
  it('neighbours writes one picture and leaves the query itself out', async () => {
    const out = join(folder, 'neighbours');
    const ended = await inProcess([
      ...['show', 'neighbours', '--checkpoint', run, '--data', data, '--out', out, '--k', '3', ...ENGINE, '--json'],
      ...images,
    ]);
    expect(ended.code).toBe(0);
    const { files, neighbours, bank } = jsonOf(ended) as {
      files: string[];
      bank: number;
      neighbours: { image: string; nearest: { name: string; label: string; similarity: number }[] }[];
    };
    expect(files).toEqual([join(out, 'neighbours.png')]);
    expect(bank).toBe(12);
    expect(neighbours.map(({ image }) => image)).toEqual(images);
    for (const { image, nearest } of neighbours) {
      expect(nearest).toHaveLength(3);
      expect(nearest.map(({ name }) => join(data, name))).not.toContain(image);
      expect(nearest.map(({ similarity }) => similarity)).toEqual(
        nearest.map(({ similarity }) => similarity).sort((a, b) => b - a),
      );
    }
    expect((await sizeOf(files[0])).width).toBeGreaterThan(300);
  });

  it('attention writes a picture for each image, at another size too, and numbers those of one name', async () => {
    const out = join(folder, 'attention');
    const args = ['show', 'attention', '--checkpoint', run, '--out', out, ...ENGINE, '--json'];
    const ended = await inProcess([...args, ...images]);
    expect(ended.code).toBe(0);
    expect(jsonOf(ended)).toMatchObject({
      files: [join(out, 'attention-0.png'), join(out, 'attention-0-2.png')],
      imageSize: 32,
      heads: 2,
      skipped: [],
    });
    await sizeOf(join(out, 'attention-0-2.png'));
    expect(jsonOf(await inProcess([...args, '--image-size', '64', images[0]]))).toMatchObject({ imageSize: 64 });
    const odd = await inProcess([...args, '--image-size', '30', images[0]]);
    expect(odd.code).toBe(2);
    expect(odd.stderr).toContain('use --image-size 32');
  });

  it('dynamics writes the curves of a run, also of one cut in the middle of a line', async () => {
    const out = join(folder, 'dynamics');
    const cut = await makeRun(join(folder, 'cut'), data);
    await cutLine(cut);
    const ended = await inProcess(['show', 'dynamics', '--checkpoint', cut, '--out', out, '--json']);
    expect(ended.code).toBe(0);
    const { files, curves, damagedLines } = jsonOf(ended) as {
      files: string[];
      curves: string[];
      damagedLines: number;
    };
    expect(curves).toEqual(expect.arrayContaining(['loss', 'accuracy', 'expansion', 'rank']));
    expect(damagedLines).toBe(1);
    await sizeOf(files[0]);
    await inProcess(['show', 'dynamics', '--checkpoint', cut, '--out', out, '--svg']);
    expect((await sharp(join(out, 'dynamics.svg')).metadata()).format).toBe('svg');
    const none = await inProcess(['show', 'dynamics', '--checkpoint', data, '--out', out, '--json']);
    expect(none.code).toBe(2);
  });

  it('augment draws the views of a preset or a run, the same for the same seed', async () => {
    const pictures: Buffer[] = [];
    for (const [name, from] of [
      ['a', ['--checkpoint', run]],
      ['b', ['--checkpoint', run]],
      ['c', ['--checkpoint', run, '--seed', '1']],
      ['d', ['--preset', 'imagenet-vitb16', '--draws', '1']],
    ] as const) {
      const out = join(folder, 'augment', name);
      const ended = await inProcess(['show', 'augment', '--out', out, '--json', ...from, images[0]]);
      expect(ended.code).toBe(0);
      const { files } = jsonOf(ended) as { files: string[] };
      pictures.push(await sharp(files[0]).raw().toBuffer());
    }
    expect(pictures[1].equals(pictures[0])).toBe(true);
    expect(pictures[2].equals(pictures[0])).toBe(false);
    const both = await inProcess([
      'show',
      'augment',
      '--out',
      folder,
      '--checkpoint',
      run,
      '--preset',
      'demo',
      images[0],
    ]);
    expect(both.code).toBe(2);
    const typo = await inProcess(['show', 'augment', '--out', folder, '--preset', 'dmeo', images[0]]);
    expect(typo.code).toBe(2);
    expect(typo.stderr).toContain('did you mean "demo"');
  });

  it('skips an image that cannot be read, and fails when it is the only one', async () => {
    const broken = join(folder, 'broken.jpg');
    await writeFile(broken, 'no image');
    const args = ['show', 'augment', '--checkpoint', run, '--out', join(folder, 'skips'), '--json'];
    const some = await inProcess([...args, broken, images[0]]);
    expect(some.code).toBe(0);
    expect(jsonOf(some)).toMatchObject({ skipped: [{ path: broken }] });
    expect(await readdir(join(folder, 'skips'))).toEqual(['augment-0.png']);
    const none = await inProcess([...args, broken]);
    expect(none.code).toBe(1);
    expect(jsonOf(none)['error']).toMatchObject({ code: 'IMAGE_UNREADABLE' });
  });

  it('refuses wrong use with exit 2 and a way out', async () => {
    const out = join(folder, 'wrong');
    for (const [args, hint] of [
      [['show'], 'neighbours, attention, dynamics, augment'],
      [['show', 'atention', '--out', out], 'did you mean "attention"'],
      [['show', 'attention', '--out', out, '--checkpoint', run], 'expected IMAGES: image files, got none'],
      [['show', 'attention', '--checkpoint', run, images[0]], '--out'],
      [['show', 'attention', '--out', out, '--checkpoint', run, join(data, 'discs', '00.png')], 'did you mean'],
      [['show', 'attention', '--out', out, '--checkpoint', run, data], 'is a folder'],
    ] as const) {
      const ended = await inProcess(args);
      expect(ended.code).toBe(2);
      expect(ended.stderr.trim().split('\n')).toHaveLength(1);
      expect(ended.stderr).toContain(hint);
    }
  });
});
