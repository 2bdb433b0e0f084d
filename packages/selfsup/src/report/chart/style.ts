/** Colours of a chart. */
interface Palette {
  readonly text: string;
  readonly muted: string;
  readonly grid: string;
  readonly axis: string;
  /** Of the curves, in order; as many as {@link SERIES_COLOURS}. */
  readonly series: readonly string[];
}

/** Told apart by the common colour-blind eyes too, and with enough contrast on white. */
export const LIGHT: Palette = {
  text: '#1f2328',
  muted: '#59636e',
  grid: '#e4e8ec',
  axis: '#afb8c1',
  series: ['#0b62d6', '#c2410c', '#0f7b6c', '#8b3fc6', '#8a6a00'],
};

/** The same hues, lighter, for a dark page. */
export const DARK: Palette = {
  text: '#e6edf3',
  muted: '#9da7b3',
  grid: '#2a313a',
  axis: '#4a535e',
  series: ['#6cb0ff', '#ff9b5e', '#45d0b5', '#cf9bff', '#e3c04f'],
};

function rules({ text, muted, grid, axis, series }: Palette): string {
  return [
    `.chart text{fill:${muted}}.chart .value{fill:${text}}`,
    `.chart path{fill:none}.chart .grid{stroke:${grid}}.chart .axis{stroke:${axis}}`,
    `.chart .ref{stroke:${muted};stroke-width:1.3}`,
    ...series.map((c, i) => `.chart path.c${i}{stroke:${c};stroke-width:1.8}.chart circle.c${i}{fill:${c}}`),
  ].join('');
}

const COMMON =
  '.chart path{stroke-linejoin:round}.chart .d0{stroke-dasharray:5 4}.chart .d1{stroke-dasharray:1.5 3}' +
  '.chart .band rect{fill:none;pointer-events:all}.chart .band path{visibility:hidden}';

/** Style sheet for charts in a page: light, and dark where the reader prefers it. */
export function chartPageStyle(): string {
  return (
    `${COMMON}${rules(LIGHT)}.chart .band path{stroke:${LIGHT.muted}}.chart .band:hover path{visibility:visible}` +
    `@media (prefers-color-scheme:dark){${rules(DARK)}.chart .band path{stroke:${DARK.muted}}}`
  );
}

/** Style sheet for charts in a picture, light. */
export function chartPictureStyle(): string {
  return `${COMMON}${rules(LIGHT)}`;
}
