const TWO_OVER_SQRT_PI = 2 / Math.sqrt(Math.PI);

/** Below this the series converges quickly and without cancellation, above it the continued fraction does. */
const SERIES_LIMIT = 2.5;

/** 2/sqrt(pi) e^(-x^2) sum of 2^n x^(2n+1) / (2n+1)!! (Abramowitz & Stegun 7.1.6): all terms of one sign. */
function erfSeries(x: number): number {
  let term = x;
  let total = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(total); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    total += term;
  }
  return TWO_OVER_SQRT_PI * Math.exp(-x * x) * total;
}

/** The continued fraction of erfc for x > 0 (Abramowitz & Stegun 7.1.14), from the inside out. */
function erfcFraction(x: number): number {
  let tail = x;
  for (let n = 120; n >= 1; n--) tail = x + n / 2 / tail;
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * tail);
}

/** Error function in double precision (relative error about 1e-15). */
export function erf(x: number): number {
  if (Math.abs(x) < SERIES_LIMIT) return erfSeries(x);
  return x > 0 ? 1 - erfcFraction(x) : x < 0 ? erfcFraction(-x) - 1 : NaN;
}

/** 1 - erf(x), without loss of digits for large x. */
export function erfc(x: number): number {
  return x >= SERIES_LIMIT ? erfcFraction(x) : 1 - erf(x);
}
