import { propertyOptions } from '@selfsup/test-kit';
import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { lineChart } from '../../src/report/chart/line-chart.js';
import { axisOver, shortNumber, stepAxis, tickLabels } from '../../src/report/chart/scale.js';
import { chartPageStyle, chartPictureStyle } from '../../src/report/chart/style.js';
import { thinOut, type Point } from '../../src/report/chart/thin-out.js';

const finite = fc.double({ min: -1e9, max: 1e9, noNaN: true });

describe('an axis', () => {
  it('covers its values from mark to mark, with few marks that can be told apart', () => {
    fc.assert(
      fc.property(fc.array(finite, { maxLength: 30 }), (values) => {
        const { low, high, ticks } = axisOver(values);
        const slack = 1e-9 * Math.max(Math.abs(low), Math.abs(high));
        for (const value of values) {
          expect(value).toBeGreaterThanOrEqual(low - slack);
          expect(value).toBeLessThanOrEqual(high + slack);
        }
        expect(ticks.length).toBeGreaterThanOrEqual(2);
        expect(ticks.length).toBeLessThanOrEqual(7);
        expect(ticks[0]).toBe(low);
        expect(ticks.at(-1)).toBe(high);
        expect(new Set(tickLabels(ticks)).size).toBe(ticks.length);
      }),
      propertyOptions(200),
    );
  });

  it('leaves out what is not finite, and stands for nothing at all', () => {
    expect(axisOver([NaN, 1, Infinity, 3])).toMatchObject({ low: 1, high: 3 });
    expect(axisOver([])).toMatchObject({ low: 0, high: 1 });
    expect(axisOver([5]).low).toBeLessThan(5);
    expect(axisOver([5]).high).toBeGreaterThan(5);
  });

  it('does not make mountains of the last digits of float32', () => {
    const { low, high } = axisOver([1, 1 + 1e-7]);
    expect(high - low).toBeGreaterThan(0.1);
  });

  it('of steps has marks at whole steps', () => {
    expect(stepAxis([1, 2, 3])).toEqual({ low: 0, high: 3, ticks: [0, 1, 2, 3] });
    expect(stepAxis([1, 20000]).ticks).toEqual([0, 5000, 10000, 15000, 20000]);
    expect(stepAxis([0])).toEqual({ low: 0, high: 1, ticks: [0] });
  });
});

describe('a short number', () => {
  it.each([
    [0, '0'],
    [1.9, '1.9'],
    [-1.8963, '-1.9'],
    [0.05743, '0.0574'],
    [1234, '1234'],
    [12345, '12.3k'],
    [2.5e6, '2.5M'],
    [4.04e-5, '4.04e-5'],
    [9.9999e-4, '1e-3'],
    [NaN, 'NaN'],
  ])('%d is %s', (value, text) => expect(shortNumber(value)).toBe(text));

  it('labels small rates all alike', () => {
    expect(tickLabels([0, 5e-4, 1e-3, 1.5e-3, 2e-3])).toEqual(['0', '5e-4', '1e-3', '1.5e-3', '2e-3']);
    expect(tickLabels([0, 0.025, 0.05])).toEqual(['0', '0.025', '0.05']);
  });
});

describe('thinning out', () => {
  it('keeps ends, order, extremes and gaps, and little else', () => {
    const value = fc.oneof({ weight: 20, arbitrary: finite }, fc.constant(NaN));
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 400 }), fc.integer({ min: 4, max: 60 }), (ys, most) => {
        const points = ys.map((y, x): Point => [x, y]);
        const thin = thinOut(points, most);
        const gaps = ys.filter((y) => Number.isNaN(y)).length;
        expect(thin.length).toBeLessThanOrEqual(Math.max(most, 2 + 3 * Math.floor((most - 2) / 2)));
        expect(thin[0]).toBe(points[0]);
        expect(thin.at(-1)).toBe(points.at(-1));
        for (let i = 1; i < thin.length; i++) expect(thin[i][0]).toBeGreaterThan(thin[i - 1][0]);
        const kept = thin.map(([, y]) => y).filter(Number.isFinite);
        const all = ys.filter(Number.isFinite);
        if (all.length > 0) {
          expect(Math.max(...kept)).toBe(Math.max(...all));
          expect(Math.min(...kept)).toBe(Math.min(...all));
        }
        if (gaps > 0) expect(thin.some(([, y]) => Number.isNaN(y))).toBe(true);
      }),
      propertyOptions(200),
    );
  });
});

/** Fails for SVG that is not well-formed. */
async function rendered(svg: string): Promise<void> {
  const { width } = await sharp(Buffer.from(svg.replace('>', `><style>${chartPictureStyle()}</style>`))).metadata();
  expect(width).toBe(360);
}

describe('a line chart', () => {
  const curve = (ys: readonly number[], name = 'loss') => ({ name, points: ys.map((y, i): Point => [i + 1, y]) });

  it('draws every curve with its newest value, and the values of a step under the pointer', async () => {
    const bound = { name: 'E_max', points: [[1, 2] as const, [3, 2] as const], reference: true };
    const svg = lineChart({ label: 'Loss', series: [curve([3, 2, 1]), curve([1, 1, 5], 'part'), bound], unit: '%' });
    await rendered(svg);
    expect(svg).toContain('aria-label="Loss"');
    expect(svg).toContain('loss <tspan class="value">1%</tspan>');
    expect(svg).toContain('<title>step 3\nloss: 1%\npart: 5%\nE_max: 2%</title>');
    expect(svg.match(/class="band"/g)).toHaveLength(3);
    expect(svg).toContain('class="ref d0"');
    expect(svg).toContain('class="c1"');
  });

  it('leaves a gap where a value is not finite', async () => {
    const svg = lineChart({ label: 'x', series: [curve([1, 2, NaN, 2, 1])] });
    await rendered(svg);
    expect(/<path class="c0" d="(M[^"]*L[^"]*)"/.exec(svg)?.[1].match(/M/g)).toHaveLength(2);
    expect(svg).toContain('loss: NaN');
  });

  it('stands for nothing, for one point, and for the same value over and over', async () => {
    for (const series of [[], [curve([])], [curve([NaN, NaN])]]) {
      const empty = lineChart({ label: 'x', series });
      await rendered(empty);
      expect(empty).toContain('nothing recorded yet');
    }
    const one = lineChart({ label: 'x', series: [curve([7])] });
    await rendered(one);
    expect(one).toContain('<circle');
    await rendered(lineChart({ label: 'x', series: [curve([0, 0, 0])], fromZero: true }));
  });

  it('is well-formed whatever the names and values are', async () => {
    const names = fc.string({ unit: 'binary', maxLength: 12 });
    const value = fc.oneof(fc.double(), fc.constantFrom(NaN, Infinity, 0, 5e-324, 1.7e308));
    const series = fc.array(
      fc.record({ name: names, ys: fc.array(value, { maxLength: 8 }), reference: fc.boolean() }),
      { maxLength: 8 },
    );
    await fc.assert(
      fc.asyncProperty(series, names, async (all, label) => {
        const svg = lineChart({ label, series: all.map(({ ys, ...rest }) => ({ ...rest, ...curve(ys, rest.name) })) });
        expect(svg).not.toMatch(/="[^"]*(?:NaN|Infinity)[^"]*"/);
        await rendered(svg);
      }),
      propertyOptions(30),
    );
  });

  it('stays small for a long run', () => {
    const svg = lineChart({ label: 'x', series: [curve(Array.from({ length: 50_000 }, (_, i) => Math.sin(i)))] });
    expect(svg.length).toBeLessThan(60_000);
  });

  it('has colours for light and dark pages', () => {
    const style = chartPageStyle();
    expect(style).toContain('@media (prefers-color-scheme:dark)');
    for (let i = 0; i < 5; i++) expect(style.match(new RegExp(`path\\.c${i}\\{`, 'g'))).toHaveLength(2);
  });
});
