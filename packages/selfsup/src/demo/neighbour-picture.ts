import sharp from 'sharp';

/** One row of the picture: a query and its neighbours under two sets of features. */
export interface NeighbourRow {
  readonly query: Tile;
  readonly before: readonly (Tile & { readonly same: boolean })[];
  readonly after: readonly (Tile & { readonly same: boolean })[];
}

/** RGB bytes `[size, size, 3]`. */
export interface Tile {
  readonly data: Uint8Array;
  readonly size: number;
}

const TILE = 56;
const PAD = 6;
const FRAME = 3;
const CELL = TILE + 2 * PAD;
const GAP = 28;
const HEADER = 34;

const FOUND = '#1a7f37';
const OTHER = '#d0d7de';

async function png({ data, size }: Tile): Promise<string> {
  const bytes = await sharp(data, { raw: { width: size, height: size, channels: 3 } })
    .resize(TILE, TILE, { kernel: 'cubic' })
    .png()
    .toBuffer();
  return `data:image/png;base64,${bytes.toString('base64')}`;
}

/**
 * Queries with their nearest neighbours before and after training, as a PNG: a green frame is a neighbour of the query's
 * own category.
 */
export async function neighbourPicture(
  rows: readonly NeighbourRow[],
  titles: { readonly before: string; readonly after: string },
): Promise<Buffer> {
  const k = rows[0].before.length;
  const beforeX = CELL + GAP;
  const afterX = beforeX + k * CELL + GAP;
  const width = afterX + k * CELL + PAD;
  const height = HEADER + rows.length * CELL + PAD;
  const text = (x: number, value: string): string =>
    `<text x="${x}" y="22" font-family="sans-serif" font-size="15" fill="#24292f">${value}</text>`;
  const parts = [
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    text(PAD, 'query'),
    text(beforeX + PAD, titles.before),
    text(afterX + PAD, titles.after),
  ];
  for (const [r, row] of rows.entries()) {
    const y = HEADER + r * CELL;
    const place = async (tile: Tile, x: number, frame?: string): Promise<void> => {
      if (frame !== undefined) {
        parts.push(
          `<rect x="${x + PAD - FRAME}" y="${y + PAD - FRAME}" width="${TILE + 2 * FRAME}" height="${TILE + 2 * FRAME}" fill="none" stroke="${frame}" stroke-width="${FRAME}"/>`,
        );
      }
      parts.push(`<image x="${x + PAD}" y="${y + PAD}" width="${TILE}" height="${TILE}" href="${await png(tile)}"/>`);
    };
    await place(row.query, 0);
    for (const [i, tile] of row.before.entries()) await place(tile, beforeX + i * CELL, tile.same ? FOUND : OTHER);
    for (const [i, tile] of row.after.entries()) await place(tile, afterX + i * CELL, tile.same ? FOUND : OTHER);
  }
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${parts.join('')}</svg>`;
  return sharp(Buffer.from(svg), { density: 72 }).png().toBuffer();
}
