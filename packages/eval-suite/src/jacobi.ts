// Own code, since the SVD of ml-matrix, which is in use here otherwise, never ends on a matrix of equal rows.

/** Sweeps after which rotations stop whatever is left; ten are usual. */
const MAX_SWEEPS = 60;

/**
 * Singular values of the matrix with these columns, which are overwritten: Householder triangularisation, then
 * one-sided Jacobi rotations (Hestenes) until all columns are orthogonal. Unlike iterations that wait for an
 * off-diagonal to vanish it ends on every matrix, also on one whose rows are all the same.
 *
 * @param columns - Of one length, which is not less than their number.
 * @returns one number per column, in no order
 */
export function jacobiSingularValues(columns: readonly Float64Array[]): Float64Array {
  const rows = triangularRows(columns);
  const total = rows.reduce((sum, row) => sum + dot(row, row), 0);
  // Two columns that are rounding noise beside the matrix need not be orthogonal to each other.
  const noise = Number.EPSILON ** 2 * total;
  for (let sweep = 0, rotated = true; rotated && sweep < MAX_SWEEPS; sweep++) {
    rotated = false;
    for (let p = 0; p < rows.length; p++) {
      for (let q = p + 1; q < rows.length; q++) rotated = rotate(rows[p], rows[q], noise) || rotated;
    }
  }
  return Float64Array.from(rows, (row) => Math.sqrt(dot(row, row)));
}

/** Rows of the triangular factor, as columns of its transpose: its singular values are the matrix's. */
function triangularRows(columns: readonly Float64Array[]): Float64Array[] {
  const n = columns.length;
  for (let k = 0; k < n; k++) {
    const pivot = columns[k].subarray(k);
    const norm = Math.sqrt(dot(pivot, pivot));
    if (norm === 0) continue;
    const v = pivot.slice();
    v[0] += pivot[0] < 0 ? -norm : norm;
    const squares = dot(v, v);
    for (let j = k; j < n; j++) {
      const x = columns[j].subarray(k);
      const factor = (2 * dot(v, x)) / squares;
      for (let i = 0; i < x.length; i++) x[i] -= factor * v[i];
    }
  }
  return columns.map((_, k) => Float64Array.from({ length: n }, (__, j) => (j < k ? 0 : columns[j][k])));
}

/** Makes two columns orthogonal; false where they were. */
function rotate(a: Float64Array, b: Float64Array, noise: number): boolean {
  const [aa, bb, ab] = [dot(a, a), dot(b, b), dot(a, b)];
  if (Math.abs(ab) <= Math.max(noise, Number.EPSILON * Math.sqrt(aa) * Math.sqrt(bb))) return false;
  const zeta = (bb - aa) / (2 * ab);
  const t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
  const c = 1 / Math.sqrt(1 + t * t);
  const s = c * t;
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i], b[i]];
    a[i] = c * x - s * y;
    b[i] = s * x + c * y;
  }
  return true;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
