/** ln of the gamma function (Lanczos). */
function logGamma(x: number): number {
  const c = [
    76.18009172947146, -86.5053203294168, 24.01409824083091, -1.231739572450155, 0.1208650973866179e-2,
    -0.5395239384953e-5,
  ];
  const t = x + 5.5 - (x + 0.5) * Math.log(x + 5.5);
  return (
    -t + Math.log((Math.sqrt(2 * Math.PI) * c.reduce((sum, v, i) => sum + v / (x + 1 + i), 1.000000000190015)) / x)
  );
}

/** P(chi-square with `k` degrees of freedom > x): upper regularised gamma function, series or continued fraction. */
export function chiSquareTail(x: number, k: number): number {
  const [a, z] = [k / 2, x / 2];
  if (z <= 0) return 1;
  const front = Math.exp(-z + a * Math.log(z) - logGamma(a));
  if (z < a + 1) {
    let term = 1 / a;
    let sum = term;
    for (let n = 1; n < 1000; n++) sum += term *= z / (a + n);
    return 1 - front * sum;
  }
  let b = z + 1 - a;
  let c = 1e300;
  let d = 1 / b;
  let h = d;
  for (let n = 1; n < 1000; n++) {
    const an = -n * (n - a);
    b += 2;
    d = 1 / (an * d + b);
    c = b + an / c;
    h *= d * c;
  }
  return front * h;
}

/** p of the two-sample chi-square test of two histograms; bins empty in both are left out. */
export function chiSquareTwoSample(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const [totalA, totalB] = [a, b].map((h) => Array.from(h).reduce((sum, n) => sum + n, 0));
  const [ka, kb] = [Math.sqrt(totalB / totalA), Math.sqrt(totalA / totalB)];
  let statistic = 0;
  let bins = 0;
  for (let i = 0; i < a.length; i++) {
    if (a[i] + b[i] === 0) continue;
    statistic += (ka * a[i] - kb * b[i]) ** 2 / (a[i] + b[i]);
    bins++;
  }
  return chiSquareTail(statistic, bins - 1);
}

/** p of the two-sample Kolmogorov-Smirnov test (asymptotic). */
export function kolmogorovSmirnov(first: ArrayLike<number>, second: ArrayLike<number>): number {
  const [a, b] = [first, second].map((values) => Float64Array.from(values).sort());
  let [i, j, distance] = [0, 0, 0];
  while (i < a.length && j < b.length) {
    const value = Math.min(a[i], b[j]);
    while (i < a.length && a[i] === value) i++;
    while (j < b.length && b[j] === value) j++;
    distance = Math.max(distance, Math.abs(i / a.length - j / b.length));
  }
  const n = Math.sqrt((a.length * b.length) / (a.length + b.length));
  const lambda = (n + 0.12 + 0.11 / n) * distance;
  if (lambda < 0.2) return 1;
  let sum = 0;
  for (let k = 1; k <= 100; k++) sum += 2 * (-1) ** (k - 1) * Math.exp(-2 * k * k * lambda * lambda);
  return Math.min(1, Math.max(0, sum));
}

export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum / values.length;
}

export function standardDeviation(values: ArrayLike<number>): number {
  const m = mean(values);
  return Math.sqrt(mean(Array.from(values, (v) => (v - m) ** 2)));
}

/** Counts per bin of sorted edges, the last one closed, and those outside below and above (numpy.histogram). */
export function histogram(
  values: readonly number[],
  edges: ArrayLike<number>,
): { counts: number[]; outside: number[] } {
  const last = edges.length - 1;
  const counts = new Array<number>(last).fill(0);
  const outside = [0, 0];
  for (const value of values) {
    if (value < edges[0]) outside[0]++;
    else if (value > edges[last]) outside[1]++;
    else {
      let bin = last - 1;
      while (value < edges[bin]) bin--;
      counts[bin]++;
    }
  }
  return { counts, outside };
}
