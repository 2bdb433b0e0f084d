import type { RgbImage } from '@selfsup/datasets';
import { sheet } from './picture-svg.js';

/** A neighbour; `same`: whether it is of the query's class, undefined where there are no classes. */
export interface NeighbourTile {
  readonly image: RgbImage;
  readonly same?: boolean;
}

/** One row of the picture: a query and its neighbours in one or more groups, e.g. before and after training. */
export interface NeighbourRow {
  readonly query: RgbImage;
  readonly groups: readonly (readonly NeighbourTile[])[];
}

export interface NeighbourTitles {
  /** Over the queries. Default `query`. */
  readonly query?: string;
  /** Over each group. */
  readonly groups: readonly string[];
}

const PAD = 6;
const GAP = 22;
const HEADER = 34;

const FOUND = '#1a7f37';
const OTHER = '#d0d7de';

/**
 * Queries with their nearest neighbours as a PNG; a green frame is a neighbour of the query's own class.
 *
 * @param rows - At least one, all with as many groups.
 * @param tile - Side of an image, pixels.
 */
export async function neighbourPicture(
  rows: readonly NeighbourRow[],
  titles: NeighbourTitles,
  tile = 56,
): Promise<Buffer> {
  const cell = tile + 2 * PAD;
  const sizes = titles.groups.map((_, g) => Math.max(1, ...rows.map(({ groups }) => groups[g].length)));
  const starts = sizes.map((_, g) => cell + GAP + sizes.slice(0, g).reduce((x, size) => x + size * cell + GAP, 0));
  const last = sizes.length - 1;
  const width = starts[last] + sizes[last] * cell + PAD;
  const picture = sheet(width, HEADER + rows.length * cell + PAD);
  picture.text(PAD, 22, titles.query ?? 'query', { room: cell + GAP - PAD });
  titles.groups.forEach((title, g) => picture.text(starts[g] + PAD, 22, title, { room: sizes[g] * cell }));
  for (const [r, { query, groups }] of rows.entries()) {
    const y = HEADER + r * cell + PAD;
    await picture.image(query, PAD, y, { width: tile });
    for (const [g, group] of groups.entries()) {
      for (const [i, { image, same }] of group.entries()) {
        const frame = same === true ? FOUND : OTHER;
        await picture.image(image, starts[g] + i * cell + PAD, y, { width: tile, frame });
      }
    }
  }
  return picture.png();
}
