/** An axis: where it begins and ends, and its marks. */
export interface Axis {
  readonly low: number;
  readonly high: number;
  readonly ticks: readonly number[];
}

/** Distances between marks that people read without effort, within a power of ten. */
const STEPS = [1, 2, 2.5, 5, 10];

/** Smallest readable distance that needs at most `count` intervals. */
function readableStep(span: number, count: number): number {
  const magnitude = 10 ** Math.floor(Math.log10(span / count));
  const factor = STEPS.find((step) => span / (step * magnitude) <= count) ?? 10;
  return factor * magnitude;
}

/** What a chart takes for zero, and what for no number at all: beyond both, arithmetic on axes loses its digits. */
const LEAST = 1e-30;
const MOST = 1e60;

/** Whether a value has a place on an axis. */
export function isDrawable(value: number): boolean {
  return Math.abs(value) <= MOST;
}

/** A range with some extent: one value alone gets room around it. */
function widened(low: number, high: number): [number, number] {
  // Differences in the last digits are noise of float32; an axis made of them would show mountains.
  const size = Math.max(Math.abs(low), Math.abs(high));
  if (high - low > Math.max(LEAST, size * 1e-6)) return [low, high];
  const room = size < LEAST ? 1 : size * 0.1;
  return [low - room, high + room];
}

/**
 * An axis over some values, from a mark to a mark; values without a place on an axis are left out.
 *
 * @param intervals - At most so many intervals between marks.
 */
export function axisOver(values: Iterable<number>, intervals = 5): Axis {
  let [least, most] = [Infinity, -Infinity];
  for (const value of values) {
    if (!isDrawable(value)) continue;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  if (least > most) [least, most] = [0, 1];
  const [from, to] = widened(least, most);
  const step = readableStep(to - from, intervals - 1);
  const [first, last] = [Math.floor(from / step + 1e-9), Math.ceil(to / step - 1e-9)];
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
  return { low: ticks[0], high: ticks[ticks.length - 1], ticks };
}

/** An axis over steps: from the first to the last, marks inside. */
export function stepAxis(steps: readonly number[], intervals = 5): Axis {
  const [low, high] = [Math.min(0, ...steps.slice(0, 1)), steps[steps.length - 1] ?? 0];
  if (high <= low) return { low, high: low + 1, ticks: [low] };
  const step = Math.max(1, readableStep(high - low, intervals));
  const ticks: number[] = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high; tick += step) ticks.push(tick);
  return { low, high, ticks };
}

/** Ends of the ranges that get a letter. */
const LETTERS = [
  [1e9, 'G', 1e9],
  [1e6, 'M', 1e6],
  [1e4, 'k', 1e3],
] as const;

/** A number in few characters: `12.3k`, `1.9`, `4e-5`. */
export function shortNumber(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  const rounded = (x: number, n: number): number => Number(x.toPrecision(n));
  if (size >= 1e15) return rounded(value, digits).toExponential();
  for (const [from, letter, unit] of LETTERS) if (size >= from) return `${rounded(value / unit, digits)}${letter}`;
  if (size >= 1000) return String(rounded(value, Math.max(4, digits)));
  const short = rounded(value, digits);
  return size !== 0 && size < 1e-3 ? short.toExponential() : String(short);
}

/** Where all marks of an axis are this small, all get exponents. */
const SMALL = 1e-2;

/** Labels of an axis, all with as many digits as tell neighbours apart. */
export function tickLabels(ticks: readonly number[]): string[] {
  const small = ticks.every((tick) => Math.abs(tick) < SMALL);
  const label = (tick: number, digits: number): string =>
    small && tick !== 0 ? Number(tick.toPrecision(digits)).toExponential() : shortNumber(tick, digits);
  for (let digits = 1; digits <= 6; digits++) {
    const labels = ticks.map((tick) => label(tick, digits));
    const exact = labels.every((text, i) => Math.abs(readBack(text) - ticks[i]) <= tickTolerance(ticks));
    if (exact) return labels;
  }
  return ticks.map((tick) => label(tick, 6));
}

const tickTolerance = (ticks: readonly number[]): number =>
  ticks.length < 2 ? Math.abs(ticks[0] ?? 0) * 1e-3 : Math.abs(ticks[1] - ticks[0]) * 0.02;

function readBack(label: string): number {
  const scale = { k: 1e3, M: 1e6, G: 1e9 }[label.slice(-1)];
  return scale === undefined ? Number(label) : Number(label.slice(0, -1)) * scale;
}
