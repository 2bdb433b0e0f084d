import { expect } from 'vitest';

/** Numbers to compare: one number, arrays, typed arrays, or tensors in host memory (then the shapes must agree too). */
export type Numbers =
  | number
  | ArrayLike<number>
  | readonly Numbers[]
  | { readonly shape: readonly number[]; readonly data: ArrayLike<number> };

/** How near is near. By default every element must lie within `atol + rtol * |expected|`. */
export interface AllcloseOptions {
  /** Default 1e-5. */
  readonly rtol?: number;
  /** Default 1e-6; with `maxRel` or `maxRms` it is added to their bound and 0 by default. */
  readonly atol?: number;
  /** Instead: max|actual - expected| <= maxRel * max|expected|, the fixtures' `recommended_rel`. */
  readonly maxRel?: number;
  /** Instead, or as well: ||actual - expected|| <= maxRms * ||expected||, the fixtures' `recommended_rms_rel`. */
  readonly maxRms?: number;
}

interface Flat {
  readonly values: ArrayLike<number>;
  readonly shape: readonly number[] | undefined;
}

function flatten(value: Numbers): Flat {
  if (typeof value === 'number') return { values: [value], shape: [] };
  if ('data' in value) return { values: value.data, shape: value.shape };
  if (Array.isArray(value)) return { values: (value as unknown[]).flat(Infinity) as number[], shape: undefined };
  return { values: value as ArrayLike<number>, shape: undefined };
}

function firstNonFinite(values: ArrayLike<number>): number {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return i;
  return -1;
}

/** Why two sets of numbers are not close; undefined when they are. */
export function notCloseReason(actual: Numbers, expected: Numbers, options: AllcloseOptions = {}): string | undefined {
  const a = flatten(actual);
  const e = flatten(expected);
  if (a.shape !== undefined && e.shape !== undefined && a.shape.join() !== e.shape.join()) {
    return `shape [${a.shape.join(', ')}] instead of [${e.shape.join(', ')}]`;
  }
  const n = e.values.length;
  if (a.values.length !== n) return `${a.values.length} numbers instead of ${n}`;
  for (const [what, values] of [
    ['actual', a.values],
    ['expected', e.values],
  ] as const) {
    const bad = firstNonFinite(values);
    if (bad >= 0) return `${what}[${bad}] is ${values[bad]}`;
  }
  let largest = 0;
  let at = 0;
  let magnitude = 0;
  let errorSquares = 0;
  let squares = 0;
  const relative = options.maxRel !== undefined || options.maxRms !== undefined;
  const { rtol = 1e-5, atol = relative ? 0 : 1e-6 } = options;
  for (let i = 0; i < n; i++) {
    const error = Math.abs(a.values[i] - e.values[i]);
    const size = Math.abs(e.values[i]);
    magnitude = Math.max(magnitude, size);
    errorSquares += error * error;
    squares += size * size;
    const excess = relative ? error : error - atol - rtol * size;
    if (i === 0 || excess > largest) [largest, at] = [excess, i];
  }
  const worst = `[${at}] is ${a.values[at]} instead of ${e.values[at]}`;
  if (!relative) return largest > 0 ? `${worst} (rtol ${rtol}, atol ${atol})` : undefined;
  if (options.maxRel !== undefined && largest > options.maxRel * magnitude + atol) {
    return `${worst}: largest error ${largest} is ${largest / magnitude} of the largest value (allowed ${options.maxRel})`;
  }
  const rms = Math.sqrt(errorSquares);
  if (options.maxRms !== undefined && rms > options.maxRms * Math.sqrt(squares) + atol) {
    return `${worst}: norm of the error is ${rms / Math.sqrt(squares)} of the norm (allowed ${options.maxRms})`;
  }
  return undefined;
}

expect.extend({
  toBeAllclose(actual: Numbers, expected: Numbers, options?: AllcloseOptions) {
    const reason = notCloseReason(actual, expected, options);
    return {
      pass: reason === undefined,
      message: () => (reason === undefined ? 'expected the numbers to differ' : `numbers are not close: ${reason}`),
    };
  },
});

declare module 'vitest' {
  // The type parameter must be spelled as vitest spells it for the declarations to merge.
  interface Matchers<T> {
    /** Same shape (where known) and length, all finite, and near enough; see {@link AllcloseOptions}. */
    toBeAllclose(expected: Numbers, options?: AllcloseOptions): T;
  }
}
