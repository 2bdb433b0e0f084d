import { escapeMarkup, textWidth } from '../markup.js';
import { axisOver, isDrawable, shortNumber, stepAxis, tickLabels, type Axis } from './scale.js';
import { thinOut, type Point } from './thin-out.js';

/** One curve of a chart. */
export interface Series {
  readonly name: string;
  /** By rising step; a y that is not finite (or beyond all measure) is a gap. */
  readonly points: readonly Point[];
  /** A bound or another value to compare with, drawn dashed and without a colour of its own. */
  readonly reference?: boolean;
}

export interface ChartOptions {
  /** What it shows, for people who cannot see it. */
  readonly label: string;
  readonly series: readonly Series[];
  /** Unit behind values in the legend and under the pointer, e.g. `%`. */
  readonly unit?: string;
  /** Whether the axis begins at 0. */
  readonly fromZero?: boolean;
  readonly width?: number;
  readonly height?: number;
}

/** Size that fits a phone without shrinking the text. */
export const CHART_WIDTH = 360;
export const CHART_HEIGHT = 220;

/** Colours of curves, `c0` on; reused in turn beyond. */
export const SERIES_COLOURS = 5;

const FONT_SIZE = 11;
const LEGEND_LINE = 16;
const MOST_POINTS = 400;
const MOST_BANDS = 80;
/** Up to so many points each is marked. */
const MARKED_POINTS = 30;

const n = (value: number): string => String(Math.round(value * 100) / 100);

const text = (x: number, y: number, value: string, attributes = ''): string =>
  `<text x="${n(x)}" y="${n(y)}" ${attributes}>${escapeMarkup(value)}</text>`;

/** Class of a curve: references share one, the others get the next colour. */
function classesOf(series: readonly Series[]): string[] {
  let colour = 0;
  let dashes = 0;
  return series.map(({ reference }) => (reference === true ? `ref d${dashes++ % 2}` : `c${colour++ % SERIES_COLOURS}`));
}

function lastFinite({ points }: Series): number | undefined {
  for (let i = points.length - 1; i >= 0; i--) if (Number.isFinite(points[i][1])) return points[i][1];
  return undefined;
}

/** Entries in lines from the left; each has the newest value behind its name. */
function legend(
  series: readonly Series[],
  classes: readonly string[],
  unit: string,
  width: number,
): { markup: string; height: number } {
  const parts: string[] = [];
  let [x, line] = [0, 0];
  for (const [i, one] of series.entries()) {
    const last = lastFinite(one);
    const value = last === undefined ? '' : `${shortNumber(last, 4)}${unit}`;
    const wide = 20 + textWidth(`${one.name} ${value}`, FONT_SIZE) + 10;
    if (x > 0 && x + wide > width) [x, line] = [0, line + 1];
    const y = line * LEGEND_LINE + 11;
    parts.push(
      `<path class="${classes[i]}" d="M${n(x)} ${y - 4}h14"/>` +
        `<text x="${n(x + 19)}" y="${y}">${escapeMarkup(one.name)} <tspan class="value">${escapeMarkup(value)}</tspan></text>`,
    );
    x += wide;
  }
  return { markup: parts.join(''), height: (line + 1) * LEGEND_LINE + 8 };
}

/** Stretches of a curve between gaps. */
function stretchesOf(points: readonly Point[]): Point[][] {
  const stretches: Point[][] = [[]];
  for (const point of points) {
    if (isDrawable(point[1])) stretches[stretches.length - 1].push(point);
    else if (stretches[stretches.length - 1].length > 0) stretches.push([]);
  }
  return stretches.filter((stretch) => stretch.length > 0);
}

interface Frame {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
  x(step: number): number;
  y(value: number): number;
}

function frameOf(box: { left: number; right: number; top: number; bottom: number }, steps: Axis, values: Axis): Frame {
  const { left, right, top, bottom } = box;
  return {
    ...box,
    x: (step) => left + ((step - steps.low) / (steps.high - steps.low)) * (right - left),
    y: (value) => bottom - ((value - values.low) / (values.high - values.low)) * (bottom - top),
  };
}

function axes(frame: Frame, steps: Axis, values: Axis): string {
  const { left, right, top, bottom } = frame;
  const rows = tickLabels(values.ticks).map((label, i) => {
    const y = frame.y(values.ticks[i]);
    return `<path class="grid" d="M${n(left)} ${n(y)}H${n(right)}"/>${text(left - 6, y + 3.5, label, 'text-anchor="end"')}`;
  });
  const columns = tickLabels(steps.ticks).map((label, i) => {
    const x = frame.x(steps.ticks[i]);
    const anchor = x > right - 12 ? 'end' : i === 0 ? 'start' : 'middle';
    const words = i === 0 ? `step ${label}` : label;
    return `<path class="grid" d="M${n(x)} ${n(bottom)}v4"/>${text(x, bottom + 16, words, `text-anchor="${anchor}"`)}`;
  });
  return `${rows.join('')}${columns.join('')}<path class="axis" d="M${n(left)} ${n(top)}V${n(bottom)}H${n(right)}"/>`;
}

function curve({ points }: Series, className: string, frame: Frame): string {
  const at = ([x, y]: Point): string => `${n(frame.x(x))} ${n(frame.y(y))}`;
  const shown = thinOut(points, MOST_POINTS);
  const stretches = stretchesOf(shown);
  const path = stretches.map((stretch) => `M${stretch.map(at).join('L')}`).join('');
  const marked = shown.length <= MARKED_POINTS ? shown : stretches.flatMap((s) => (s.length === 1 ? s : []));
  const dots = className.startsWith('ref')
    ? ''
    : marked
        .filter(([, y]) => isDrawable(y))
        .map((p) => `<circle class="${className}" cx="${n(frame.x(p[0]))}" cy="${n(frame.y(p[1]))}" r="2.2"/>`)
        .join('');
  return `<path class="${className}" d="${path}"/>${dots}`;
}

/** Invisible stripes over the chart; under the pointer each tells its step and values, and shows a line. */
function bands(series: readonly Series[], unit: string, frame: Frame): string {
  const all = [...new Set(series.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b);
  const every = Math.ceil(all.length / MOST_BANDS);
  const steps = all.filter((_, i) => i % every === 0 || i === all.length - 1);
  const values = series.map(({ name, points }) => ({ name, at: new Map(points) }));
  return steps
    .map((step, i) => {
      const x = frame.x(step);
      const from = i === 0 ? frame.left : (frame.x(steps[i - 1]) + x) / 2;
      const to = i === steps.length - 1 ? frame.right : (x + frame.x(steps[i + 1])) / 2;
      const lines = values.flatMap(({ name, at }) => {
        const value = at.get(step);
        return value === undefined ? [] : [`${name}: ${shortNumber(value, 5)}${unit}`];
      });
      return (
        `<g class="band"><title>${escapeMarkup([`step ${step}`, ...lines].join('\n'))}</title>` +
        `<rect x="${n(from)}" y="${n(frame.top)}" width="${n(Math.max(0.5, to - from))}" height="${n(frame.bottom - frame.top)}"/>` +
        `<path d="M${n(x)} ${n(frame.top)}V${n(frame.bottom)}"/></g>`
      );
    })
    .join('');
}

/**
 * Curves over steps as SVG text: axes, a legend with the newest values, and the values of a step under the pointer.
 * Colours come from a style sheet ({@link import('./style.js')}), so that one chart suits a dark and a light page.
 */
export function lineChart(options: ChartOptions): string {
  const { label, series, unit = '', fromZero = false, width = CHART_WIDTH, height = CHART_HEIGHT } = options;
  const classes = classesOf(series);
  const head = legend(series, classes, unit, width);
  const open =
    `<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 ${width} ${height}" role="img" ` +
    `aria-label="${escapeMarkup(label)}" font-family="system-ui, 'DejaVu Sans', sans-serif" font-size="${FONT_SIZE}">`;
  const points = series.flatMap((one) => one.points);
  if (!points.some(([, y]) => isDrawable(y))) {
    return `${open}${text(width / 2, height / 2, 'nothing recorded yet', 'text-anchor="middle"')}</svg>`;
  }
  const steps = stepAxis([...new Set(points.map(([x]) => x))].sort((a, b) => a - b));
  const values = axisOver([...points.map(([, y]) => y), ...(fromZero ? [0] : [])]);
  const widest = Math.max(...tickLabels(values.ticks).map((tick) => textWidth(tick, FONT_SIZE)));
  const frame = frameOf({ left: widest + 8, right: width - 6, top: head.height, bottom: height - 22 }, steps, values);
  const curves = series.map((one, i) => curve(one, classes[i], frame));
  return `${open}${head.markup}${axes(frame, steps, values)}${curves.join('')}${bands(series, unit, frame)}</svg>`;
}
