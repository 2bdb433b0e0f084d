// results/learning.csv as a picture: k-NN accuracy over steps, mean of the seeds and their spread, both sides.
//   npm run learning:figure
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { axisOver, stepAxis, tickLabels, type Axis } from '../../packages/selfsup/src/report/chart/scale.js';
import { LIGHT } from '../../packages/selfsup/src/report/chart/style.js';
import { LONG_STEPS, RECIPES, SIDES, STEPS, type Side } from './plan.js';
import { readTable } from './results.js';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const PANEL = { width: 360, height: 240, left: 44, right: 20, top: 44, bottom: 36 };
const COLOURS: Readonly<Record<Side, string>> = { ours: LIGHT.series[0], reference: LIGHT.series[1] };
const NAMES: Readonly<Record<Side, string>> = { ours: 'ours (onnxruntime)', reference: 'reference (PyTorch)' };

/** Accuracy of all seeds at a step. */
interface Point {
  readonly step: number;
  readonly low: number;
  readonly mean: number;
  readonly high: number;
  readonly seeds: number;
}

type Rows = readonly Readonly<Record<string, string>>[];

/** Of finished runs: a mean over other seeds at every step would bend the curve. */
function curveOf(rows: Rows, side: Side, recipe: string, length: number): Point[] {
  const runs = rows.filter(
    (row) =>
      row['side'] === side && row['recipe'] === recipe && row['variant'] === 'base' && row['steps'] === String(length),
  );
  const finished = new Set(runs.filter((row) => row['step'] === row['steps']).map((row) => row['seed']));
  const wanted = runs.filter((row) => finished.has(row['seed']));
  const steps = [...new Set(wanted.map((row) => Number(row['step'])))].sort((a, b) => a - b);
  return steps.map((step) => {
    const values = wanted.filter((row) => Number(row['step']) === step).map((row) => Number(row['knn.top1']));
    return {
      step,
      low: Math.min(...values),
      mean: values.reduce((sum, v) => sum + v, 0) / values.length,
      high: Math.max(...values),
      seeds: values.length,
    };
  });
}

const text = (x: number, y: number, value: string, attributes = ''): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${value}</text>`;

/** One method: the spread of the seeds as a band, their mean as a line. */
function panel(title: string, curves: Readonly<Record<Side, Point[]>>, steps: Axis, values: Axis): string {
  const { width, height, left, right, top, bottom } = PANEL;
  const x = (step: number): number => left + ((step - steps.low) / (steps.high - steps.low)) * (width - left - right);
  const y = (v: number): number =>
    height - bottom - ((v - values.low) / (values.high - values.low)) * (height - top - bottom);
  const at = (step: number, v: number): string => `${x(step).toFixed(1)} ${y(v).toFixed(1)}`;
  const rows = tickLabels(values.ticks).map(
    (label, i) =>
      `<path stroke="${LIGHT.grid}" d="M${left} ${y(values.ticks[i]).toFixed(1)}H${width - right}"/>` +
      text(left - 6, y(values.ticks[i]) + 4, label, 'text-anchor="end"'),
  );
  const columns = tickLabels(steps.ticks).map((label, i) =>
    text(x(steps.ticks[i]), height - bottom + 16, label, 'text-anchor="middle"'),
  );
  const drawn = SIDES.map((side) => {
    const points = curves[side];
    if (points.length === 0) return '';
    const back = [...points].reverse();
    const band = `M${points.map((p) => at(p.step, p.high)).join('L')}L${back.map((p) => at(p.step, p.low)).join('L')}Z`;
    const line = `M${points.map((p) => at(p.step, p.mean)).join('L')}`;
    const dots = points.map(
      (p) => `<circle cx="${x(p.step).toFixed(1)}" cy="${y(p.mean).toFixed(1)}" r="2.5" fill="${COLOURS[side]}"/>`,
    );
    return (
      `<path d="${band}" fill="${COLOURS[side]}" fill-opacity="0.18"/>` +
      `<path d="${line}" fill="none" stroke="${COLOURS[side]}" stroke-width="1.8"/>${dots.join('')}`
    );
  });
  const seeds = Math.max(0, ...SIDES.flatMap((side) => curves[side].map((p) => p.seeds)));
  const subtitle = seeds === 1 ? 'one seed' : `mean and range of ${seeds} seeds`;
  return (
    text(left, 18, title, `font-weight="600" font-size="13" fill="${LIGHT.text}"`) +
    text(left, 34, `held-out k-NN top-1, %; ${subtitle}`) +
    `${rows.join('')}${columns.join('')}${drawn.join('')}` +
    text((left + width - right) / 2, height - 4, 'step', 'text-anchor="middle"')
  );
}

const rows = readTable(here('../results/learning.csv'));
const methods = [STEPS, LONG_STEPS]
  .flatMap((length) => RECIPES.map((recipe) => ({ length, recipe })))
  .map(({ length, recipe }) => ({
    length,
    recipe,
    curves: Object.fromEntries(SIDES.map((side) => [side, curveOf(rows, side, recipe, length)])) as Record<
      Side,
      Point[]
    >,
  }))
  .filter(({ curves }) => SIDES.some((side) => curves[side].length > 0));
const pointsOf = (shown: typeof methods): Point[] =>
  shown.flatMap(({ curves }) => SIDES.flatMap((side) => curves[side]));
/** Steps of the runs of a length. */
const stepsOf = (length: number): Axis =>
  stepAxis(
    [...new Set(pointsOf(methods.filter((one) => one.length === length)).map(({ step }) => step))].sort(
      (a, b) => a - b,
    ),
    4,
  );
const values = axisOver(pointsOf(methods).flatMap(({ low, high }) => [low, high]));
const titles: Readonly<Record<string, string>> = {
  simdino: 'SimDINO',
  dino: 'DINO',
  simdinov2: 'SimDINOv2',
  dinov2: 'DINOv2',
};
const panels = methods.map(
  ({ length, recipe, curves }, i) =>
    `<g transform="translate(${(i % 2) * PANEL.width} ${Math.floor(i / 2) * PANEL.height})">${panel(`${titles[recipe]}, ${length.toLocaleString('en')} steps`, curves, stepsOf(length), values)}</g>`,
);
const [width, height] = [2 * PANEL.width, Math.ceil(methods.length / 2) * PANEL.height + 26];
const legend = SIDES.map(
  (side, i) =>
    `<path d="M${PANEL.left + i * 190} ${height - 10}h22" stroke="${COLOURS[side]}" stroke-width="3"/>` +
    text(PANEL.left + 28 + i * 190, height - 6, NAMES[side]),
);
writeFileSync(
  here('../results/learning.svg'),
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" ` +
    `aria-label="k-NN accuracy over training steps, this project and a PyTorch reference" ` +
    `font-family="system-ui, 'DejaVu Sans', sans-serif" font-size="11" fill="${LIGHT.muted}">` +
    `<rect width="${width}" height="${height}" fill="#fff"/>${panels.join('')}${legend.join('')}</svg>\n`,
);
