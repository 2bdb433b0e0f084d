import { Rng } from '@selfsup/core';
import { host, type Host } from './support.js';

/** How the eigenvalues of a test matrix lie between 1 and the condition number. */
export type Spectrum = 'geometric' | 'one-large' | 'half-large';

/** n orthonormal rows. */
function orthonormal(rng: Rng, n: number): Float64Array[] {
  const rows: Float64Array[] = [];
  for (let i = 0; i < n; i++) {
    const v = Float64Array.from({ length: n }, () => rng.normal());
    for (let pass = 0; pass < 2; pass++) {
      for (const row of rows) {
        const along = row.reduce((s, x, k) => s + x * v[k], 0);
        for (let k = 0; k < n; k++) v[k] -= along * row[k];
      }
    }
    const norm = Math.hypot(...v);
    rows.push(v.map((x) => x / norm));
  }
  return rows;
}

/** A symmetric positive definite matrix with smallest eigenvalue 1 and a given condition number, rounded to float32. */
export function positiveDefinite(seed: number, n: number, condition: number, spectrum: Spectrum = 'geometric'): Host {
  const rng = Rng.of(seed, 'spd', n);
  const a = new Float64Array(n * n);
  orthonormal(rng, n).forEach((q, e) => {
    const large = spectrum === 'one-large' ? e === 0 : e < n / 2;
    const value = spectrum === 'geometric' ? condition ** (e / Math.max(1, n - 1)) : large ? condition : 1;
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) a[i * n + j] += value * q[i] * q[j];
  });
  return host([n, n], a);
}

/** Matrices one above the other, `[S, n, m]`. */
export function stack(...matrices: Host[]): Host {
  return host(
    [matrices.length, ...matrices[0].shape],
    matrices.flatMap(({ data }) => [...data]),
  );
}

/** A lower triangular matrix with a diagonal away from 0 and zeros above. */
export function lowerTriangular(seed: number, n: number): Host {
  const rng = Rng.of(seed, 'lower', n);
  const value = (i: number, j: number): number =>
    i === j ? (rng.chance(0.5) ? 1 : -1) * rng.uniform(0.7, 1.5) : i > j ? rng.normal(0, 1 / Math.sqrt(n)) : 0;
  return host(
    [n, n],
    Array.from({ length: n * n }, (_, k) => value(Math.floor(k / n), k % n)),
  );
}
