import sharp from 'sharp';
import type { Curve } from '../report/curves.js';
import { CHART_HEIGHT, CHART_WIDTH, lineChart } from '../report/chart/line-chart.js';
import { chartPictureStyle } from '../report/chart/style.js';
import { escapeMarkup } from '../report/markup.js';

const PAD = 16;
const TITLE = 24;
const HEADER = 34;
const COLUMNS = 2;
/** Pixels for each unit of the charts, so that print and dense screens get sharp lines. */
const DENSITY = 2;

/** Curves of a run, two beside each other, as an SVG. */
export function dynamicsSvg(curves: readonly Curve[], title: string): string {
  const columns = Math.min(COLUMNS, curves.length);
  const [cellWidth, cellHeight] = [CHART_WIDTH + PAD, CHART_HEIGHT + TITLE + PAD];
  const width = columns * cellWidth + PAD;
  const height = HEADER + Math.ceil(curves.length / columns) * cellHeight + PAD;
  const words = (x: number, y: number, size: number, text: string): string =>
    `<text x="${x}" y="${y}" font-family="'DejaVu Sans', sans-serif" font-size="${size}" fill="#1f2328">${escapeMarkup(text)}</text>`;
  const cells = curves.map((curve, i) => {
    const x = PAD + (i % columns) * cellWidth;
    const y = HEADER + Math.floor(i / columns) * cellHeight;
    const chart = lineChart({ ...curve, label: curve.title });
    return `${words(x, y + 16, 13, curve.title)}<svg x="${x}" y="${y + TITLE}" width="${CHART_WIDTH}" height="${CHART_HEIGHT}" ${chart.slice('<svg '.length)}`;
  });
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><style>${chartPictureStyle()}</style>` +
    `<rect width="${width}" height="${height}" fill="#fff"/>${words(PAD, 24, 15, title)}${cells.join('')}</svg>\n`
  );
}

/** {@link dynamicsSvg} as a PNG. */
export async function dynamicsPicture(curves: readonly Curve[], title: string): Promise<Buffer> {
  return sharp(Buffer.from(dynamicsSvg(curves, title)), { density: 72 * DENSITY, unlimited: true })
    .png()
    .toBuffer();
}
