import type { RgbImage } from '@selfsup/datasets';
import { meanOfHeads } from './attention-maps.js';
import { heatMap, type PatchValues } from './heat-map.js';
import { sheet } from './picture-svg.js';

const PAD = 10;
const TITLE = 22;
/** Side of a tile for pictures of few pixels. */
const LEAST_TILE = 160;
const MOST_COLUMNS = 6;
const OVERLAY = 0.6;

/**
 * One picture with what the CLS token looks at, as a PNG: the picture, the mean over heads laid over it, and each head.
 *
 * @param image - As the network saw it, square.
 */
export async function attentionPicture(image: RgbImage, heads: readonly PatchValues[], title: string): Promise<Buffer> {
  const tile = Math.max(LEAST_TILE, Math.min(image.width, 320));
  // Interpolated at the size it is shown at, also where the picture has few pixels.
  const heat = (values: PatchValues): RgbImage => heatMap(values, tile, tile);
  const tiles: [string, RgbImage, RgbImage?][] = [
    ['picture', image],
    ['mean of heads', image, heat(meanOfHeads(heads))],
    ...heads.map((head, i): [string, RgbImage] => [`head ${i + 1}`, heat(head)]),
  ];
  const rows = Math.ceil(tiles.length / MOST_COLUMNS);
  const columns = Math.ceil(tiles.length / rows);
  const cell = tile + PAD;
  const picture = sheet(columns * cell + PAD, TITLE + PAD + rows * (cell + TITLE) + PAD);
  picture.text(PAD, PAD + 14, title, { size: 14 });
  for (const [i, [name, shown, over]] of tiles.entries()) {
    const x = PAD + (i % columns) * cell;
    const y = TITLE + PAD + Math.floor(i / columns) * (cell + TITLE);
    picture.text(x, y + 15, name, { size: 12, room: tile, muted: true });
    await picture.image(shown, x, y + TITLE, { width: tile });
    if (over !== undefined) await picture.image(over, x, y + TITLE, { width: tile, opacity: OVERLAY });
  }
  return picture.png();
}
