import { createRequire } from 'node:module';
import sharp from 'sharp';
import { datasetFrom, type Dataset } from '@selfsup/datasets';
import { Rng } from '@selfsup/core';

/**
 * The demo's pictures: two emoji sets that npm packages ship, drawn by different artists, in nine Unicode categories.
 * Noto (Google, Apache-2.0) and Fluent flat (Microsoft, MIT).
 */
const SETS = ['@iconify-json/noto', '@iconify-json/fluent-emoji-flat'] as const;

/** Skin tones: the same drawing in another colour, so only the neutral one is taken. */
const TONE = /-(?:(?:light|medium-light|medium|medium-dark|dark)(?:-skin-tone)?)$/;

/** Share of drawings held out. */
const HELD_OUT = 1 / 5;

interface IconSet {
  readonly width: number;
  readonly height: number;
  readonly icons: Readonly<Record<string, { readonly body: string }>>;
}

interface Emoji {
  readonly set: string;
  readonly name: string;
  readonly label: number;
  readonly svg: string;
}

/**
 * What is drawn, whoever drew it: gender variants and the same emoji of the other set count as one drawing, so that a
 * held-out picture has no near copy among those trained on.
 */
export function drawingOf(name: string): string {
  return name
    .replace(/-skin-tone(?:-.*)?$/, '')
    .replace(/\b(?:wo)?m[ae]n\b|\bperson\b|\bpeople\b|\bboys?\b|\bgirls?\b/g, 'person')
    .replace(/^(?:person-)+|(?:-person)+$/g, '');
}

/** Whether a drawing is held out: decided by its name and nothing else. */
export function isHeldOut(drawing: string): boolean {
  return Rng.of(hash(drawing), 'demo.hold-out').uniform() < HELD_OUT;
}

function hash(text: string): number {
  let h = 7;
  for (let i = 0; i < text.length; i++) h = (Math.imul(h, 31) + text.charCodeAt(i)) >>> 0;
  return h;
}

function listEmoji(): { emoji: Emoji[]; classes: string[] } {
  const require = createRequire(import.meta.url);
  const emoji: Emoji[] = [];
  const classes: string[] = [];
  for (const set of SETS) {
    const { icons, width, height } = require(`${set}/icons.json`) as IconSet;
    const { categories } = require(`${set}/metadata.json`) as { categories: Record<string, string[]> };
    for (const [category, names] of Object.entries(categories)) {
      if (!classes.includes(category)) classes.push(category);
      for (const name of names) {
        const icon = icons[name];
        if (icon === undefined || /skin-tone/.test(name) || (TONE.test(name) && name.replace(TONE, '') in icons))
          continue;
        const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}">${icon.body}</svg>`;
        emoji.push({ set, name, label: classes.indexOf(category), svg });
      }
    }
  }
  return { emoji, classes };
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
      emoji.flatMap(({ set, name, label }, i) => {
        const data = pixels.subarray(i * bytes, (i + 1) * bytes);
        const inPart = isHeldOut(drawingOf(name)) === (split === 'test');
        return inPart
          ? [{ source: { kind: 'rgb' as const, data, width: size, height: size }, label, name: `${set}/${name}` }]
          : [];
      }),
      { kind: 'emoji', split, classes },
    );
  return { train: await part('train'), test: await part('test'), size };
}
