/** Float64 references in plain loops; matrices are row-major. */

/** erf by its series near 0 and the continued fraction of erfc beyond, to about 1e-15. */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (a < 2.5) {
    let term = a;
    let sum = a;
    for (let n = 1; n < 80; n++) {
      term *= (-a * a) / n;
      sum += term / (2 * n + 1);
    }
    return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI);
  }
  let fraction = 0;
  for (let n = 60; n >= 1; n--) fraction = n / 2 / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * (a + fraction)));
}

export const gelu = (x: Float64Array): Float64Array => x.map((v) => 0.5 * v * (1 + erf(v / Math.SQRT2)));

/** Applies a function to every row of the given width. */
export function byRow(x: Float64Array, width: number, f: (row: Float64Array) => Float64Array): Float64Array {
  const rows: number[] = [];
  for (let i = 0; i < x.length; i += width) rows.push(...f(x.subarray(i, i + width)));
  return Float64Array.from(rows);
}

const sum = (x: Float64Array): number => x.reduce((a, b) => a + b, 0);

export function softmax(x: Float64Array, width: number): Float64Array {
  return byRow(x, width, (row) => {
    const largest = Math.max(...row);
    const weights = row.map((v) => Math.exp(v - largest));
    const total = sum(weights);
    return weights.map((w) => w / total);
  });
}

export function layerNorm(x: Float64Array, weight: Float64Array, bias: Float64Array, epsilon: number): Float64Array {
  return byRow(x, weight.length, (row) => {
    const mean = sum(row) / row.length;
    const variance = sum(row.map((v) => (v - mean) ** 2)) / row.length;
    return row.map((v, i) => ((v - mean) / Math.sqrt(variance + epsilon)) * weight[i] + bias[i]);
  });
}

export function normalize(x: Float64Array, width: number, epsilon: number): Float64Array {
  return byRow(x, width, (row) => {
    const norm = Math.max(Math.sqrt(sum(row.map((v) => v * v))), epsilon);
    return row.map((v) => v / norm);
  });
}

/** [n, k] times [k, m]. */
export function matMul(a: Float64Array, b: Float64Array, n: number, k: number, m: number): Float64Array {
  const c = new Float64Array(n * m);
  for (let i = 0; i < n; i++)
    for (let p = 0; p < k; p++) for (let j = 0; j < m; j++) c[i * m + j] += a[i * k + p] * b[p * m + j];
  return c;
}

export function transpose(a: Float64Array, n: number, m: number): Float64Array {
  const t = new Float64Array(n * m);
  for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) t[j * n + i] = a[i * m + j];
  return t;
}

/** Cholesky factor of the symmetric part of one matrix. */
export function cholesky(a: Float64Array, n: number): Float64Array {
  const l = new Float64Array(n * n);
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      let s = (a[i * n + j] + a[j * n + i]) / 2;
      for (let k = 0; k < j; k++) s -= l[i * n + k] * l[j * n + k];
      l[i * n + j] = i === j ? Math.sqrt(s) : s / l[j * n + j];
    }
  }
  return l;
}

/** x of l x = b, or of lT x = b. */
export function triangularSolve(
  l: Float64Array,
  b: Float64Array,
  n: number,
  m: number,
  transposed: boolean,
): Float64Array {
  const x = Float64Array.from(b);
  for (let step = 0; step < n; step++) {
    const i = transposed ? n - 1 - step : step;
    for (let j = 0; j < m; j++) {
      for (let s = 0; s < step; s++) {
        const k = transposed ? n - 1 - s : s;
        x[i * m + j] -= (transposed ? l[k * n + i] : l[i * n + k]) * x[k * m + j];
      }
      x[i * m + j] /= l[i * n + i];
    }
  }
  return x;
}

export function logDet(a: Float64Array, n: number): number {
  const l = cholesky(a, n);
  let s = 0;
  for (let i = 0; i < n; i++) s += 2 * Math.log(l[i * n + i]);
  return s;
}

export function inverse(a: Float64Array, n: number): Float64Array {
  const l = cholesky(a, n);
  const eye = Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
  return triangularSolve(l, triangularSolve(l, eye, n, n, false), n, n, true);
}
