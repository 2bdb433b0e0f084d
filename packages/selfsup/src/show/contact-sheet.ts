import { multiCrop, type MultiCropConfig } from '@selfsup/augment-multicrop';
import type { RgbImage } from '@selfsup/datasets';
import { sheet } from './picture-svg.js';

const PAD = 8;
const TITLE = 20;
/** Height of the rows of global views; local ones keep their size against them. */
const TILE = 144;

export interface ContactSheetOptions {
  readonly crops: MultiCropConfig;
  readonly seed: number;
  /** Index that the draws are keyed by, as in training. */
  readonly sample: number;
  /** Draws, one row each. */
  readonly draws: number;
  readonly title: string;
}

/** An image on a bound: never wider or higher than `side`. */
function fitted({ width, height }: RgbImage, side: number): [number, number] {
  const scale = side / Math.max(width, height);
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

/** A picture and the views that training would make of it, a few times over, as a PNG. */
export async function contactSheet(image: RgbImage, options: ContactSheetOptions): Promise<Buffer> {
  const { crops, seed, sample, draws, title } = options;
  const { global, local } = crops;
  // The smaller kind shows how much smaller it is, but stays large enough to be seen.
  const scale = TILE / Math.max(global.size, local.count > 0 ? local.size : 0);
  const side = (size: number): number => Math.max(48, Math.round(size * scale));
  const globalSide = side(global.size);
  // Small local views lie in as many lines as fit beside a global one.
  const lines = local.count > 0 ? Math.max(1, Math.floor(TILE / side(local.size))) : 1;
  const localSide = Math.min(side(local.size), Math.floor((TILE - (lines - 1) * PAD) / lines));
  const localColumns = Math.ceil(local.count / lines);
  const rowHeight = Math.max(globalSide, local.count > 0 ? localSide : 0);
  const localX = PAD + global.views.length * (globalSide + PAD) + PAD;
  const rowWidth = localX + localColumns * (localSide + PAD);

  const [width, height] = fitted(image, TILE);
  const top = TITLE + PAD;
  const first = top + height + PAD + TITLE;
  const whole = sheet(Math.max(rowWidth, 360), first + draws * (rowHeight + PAD) + PAD);
  whole.text(PAD, TITLE - 2, title, { size: 14 });
  await whole.image(image, PAD, top, { width, height });
  whole.text(width + 2 * PAD, top + 14, `${image.width} x ${image.height} pixels`, { size: 12, muted: true });
  const kinds = [
    `global: ${global.views.length} x ${global.size} pixels, ${percent(global.scale)} of the area`,
    ...(local.count > 0 ? [`local: ${local.count} x ${local.size} pixels, ${percent(local.scale)}`] : []),
  ];
  kinds.forEach((line, i) => whole.text(width + 2 * PAD, top + 34 + 18 * i, line, { size: 12, muted: true }));
  whole.text(PAD, first - 6, 'global', { size: 12, room: localX - PAD, muted: true });
  if (local.count > 0) whole.text(localX, first - 6, 'local', { size: 12, muted: true });

  for (let epoch = 0; epoch < draws; epoch++) {
    const views = multiCrop(image, crops, { seed, epoch, sample });
    const y = first + epoch * (rowHeight + PAD);
    const square = (data: Uint8Array, size: number): RgbImage => ({ data, width: size, height: size });
    for (const [i, data] of views.global.entries()) {
      await whole.image(square(data, global.size), PAD + i * (globalSide + PAD), y, { width: globalSide });
    }
    for (const [i, data] of views.local.entries()) {
      const x = localX + (i % localColumns) * (localSide + PAD);
      const down = Math.floor(i / localColumns) * (localSide + PAD);
      await whole.image(square(data, local.size), x, y + down, { width: localSide });
    }
  }
  return whole.png();
}

const percent = ([low, high]: readonly [number, number]): string =>
  `${Math.round(100 * low)} to ${Math.round(100 * high)} %`;
