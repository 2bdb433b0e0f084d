import { createRequire } from 'node:module';
import sharp from 'sharp';
import { datasetFrom, type Dataset } from '@selfsup/datasets';
import { Rng } from '@selfsup/core';

/**
 * The demo's pictures: the Twemoji that an npm package ships (jdecked/twemoji, CC BY 4.0), in nine Unicode categories and
 * whole, flags of countries included.
 */
const SET = '@iconify-json/twemoji';

/** Share of drawings held out. */
const HELD_OUT = 1 / 5;

interface IconSet {
  readonly width: number;
  readonly height: number;
  readonly icons: Readonly<Record<string, { readonly body: string }>>;
}

interface Emoji {
  readonly name: string;
  readonly label: number;
  readonly svg: string;
}

/** Whether a drawing is held out: decided by its name and nothing else. */
export function isHeldOutDrawing(name: string): boolean {
  return Rng.of(hash(name), 'demo.hold-out').uniform() < HELD_OUT;
}

function hash(text: string): number {
  let h = 7;
  for (let i = 0; i < text.length; i++) h = (Math.imul(h, 31) + text.charCodeAt(i)) >>> 0;
  return h;
}

/** Every drawing once: skin tones are the same drawing in another colour, so only the neutral one is taken. */
function listEmoji(): { emoji: Emoji[]; classes: string[] } {
  const require = createRequire(import.meta.url);
  const { icons, width, height } = require(`${SET}/icons.json`) as IconSet;
  const { categories } = require(`${SET}/metadata.json`) as { categories: Record<string, string[]> };
  const emoji = Object.values(categories).flatMap((names, label) =>
    names
      .filter((name) => name in icons && !name.includes('skin-tone'))
      .map((name) => ({
        name,
        label,
        svg: `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}">${icons[name].body}</svg>`,
      })),
  );
  return { emoji, classes: Object.keys(categories) };
}

/** Pictures of the demo, drawn once into shared memory. */
export interface EmojiData {
  /** Drawings to learn from. */
  readonly train: Dataset;
  /** Other drawings, to test with. */
  readonly test: Dataset;
  /** Side of the pictures, pixels. */
  readonly size: number;
}

/**
 * Draws every emoji at `size` pixels on white.
 *
 * @param onProgress - told after every picture
 */
export async function loadEmoji(
  size: number,
  onProgress: (done: number, total: number) => void = () => undefined,
): Promise<EmojiData> {
  const { emoji, classes } = listEmoji();
  const bytes = size * size * 3;
  const pixels = new Uint8Array(new SharedArrayBuffer(emoji.length * bytes));
  let next = 0;
  let done = 0;
  const draw = async (): Promise<void> => {
    while (next < emoji.length) {
      const i = next++;
      const raw = await sharp(Buffer.from(emoji[i].svg), { density: 96 })
        .resize(size, size, { fit: 'contain', background: '#fff' })
        .flatten({ background: '#fff' })
        .toColourspace('srgb')
        .raw()
        .toBuffer();
      pixels.set(raw, i * bytes);
      onProgress(++done, emoji.length);
    }
  };
  await Promise.all([draw(), draw(), draw(), draw()]);
  const part = (split: 'train' | 'test'): Promise<Dataset> =>
    datasetFrom(
      emoji.flatMap(({ name, label }, i) => {
        const data = pixels.subarray(i * bytes, (i + 1) * bytes);
        const inPart = isHeldOutDrawing(name) === (split === 'test');
        return inPart ? [{ source: { kind: 'rgb' as const, data, width: size, height: size }, label, name }] : [];
      }),
      { kind: 'emoji', split, classes },
    );
  return { train: await part('train'), test: await part('test'), size };
}
