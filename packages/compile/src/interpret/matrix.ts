import { flagOf } from '../graph/attributes.js';
import { broadcastStrides, offsetsOf, type Evaluator, type HostValue } from './host-value.js';

/** Rows and columns of the matrices a value holds. */
function matrixSize(x: HostValue): { rows: number; columns: number } {
  return { rows: x.shape[x.shape.length - 2], columns: x.shape[x.shape.length - 1] };
}

/** First element of each matrix of x for each matrix of the output, batch dimensions broadcast. */
function matrixOffsets(x: HostValue, out: HostValue): Int32Array {
  const { rows, columns } = matrixSize(x);
  const batch = out.shape.slice(0, -2);
  return offsetsOf(batch, broadcastStrides(x.shape.slice(0, -2), batch)).map((matrix) => matrix * rows * columns);
}

/** Matrix products and factorisations; dot products are summed in double whatever the precision. */
export const MATRIX = {
  dot_general: ([a, b], [out], attrs) => {
    const transposeA = flagOf(attrs, 'transposeA');
    const transposeB = flagOf(attrs, 'transposeB');
    const { rows: m, columns: n } = matrixSize(out);
    const k = transposeA ? matrixSize(a).rows : matrixSize(a).columns;
    const [aRow, aStep] = transposeA ? [1, m] : [k, 1];
    const [bColumn, bStep] = transposeB ? [k, 1] : [1, n];
    const aStart = matrixOffsets(a, out);
    const bStart = matrixOffsets(b, out);
    for (let i = 0; i < out.data.length; i++) {
      const matrix = Math.floor(i / (m * n));
      const aFirst = aStart[matrix] + (Math.floor(i / n) % m) * aRow;
      const bFirst = bStart[matrix] + (i % n) * bColumn;
      let total = 0;
      for (let j = 0; j < k; j++) total += a.data[aFirst + j * aStep] * b.data[bFirst + j * bStep];
      out.data[i] = total;
    }
  },
  /** Reads the lower triangle only; NaN where the matrix is not positive definite. */
  cholesky: ([a], [out]) => {
    const { rows: n } = matrixSize(a);
    for (let start = 0; start < a.data.length; start += n * n) {
      const l = out.data.subarray(start, start + n * n);
      for (let i = 0; i < n; i++) {
        for (let j = 0; j <= i; j++) {
          let rest = a.data[start + i * n + j];
          for (let k = 0; k < j; k++) rest -= l[i * n + k] * l[j * n + k];
          l[i * n + j] = i === j ? Math.sqrt(rest) : rest / l[j * n + j];
        }
      }
    }
  },
  triangular_solve: ([a, b], [out], attrs) => {
    const transpose = flagOf(attrs, 'transpose');
    const { rows: n, columns: m } = matrixSize(b);
    for (let matrix = 0; matrix * n * m < b.data.length; matrix++) {
      const l = a.data.subarray(matrix * n * n, (matrix + 1) * n * n);
      const x = out.data.subarray(matrix * n * m, (matrix + 1) * n * m);
      x.set(b.data.subarray(matrix * n * m, (matrix + 1) * n * m));
      for (let step = 0; step < n; step++) {
        const i = transpose ? n - 1 - step : step;
        const known = Array.from({ length: step }, (_, k) => (transpose ? n - 1 - k : k));
        for (let column = 0; column < m; column++) {
          let rest = x[i * m + column];
          for (const k of known) rest -= l[transpose ? k * n + i : i * n + k] * x[k * m + column];
          x[i * m + column] = rest / l[i * n + i];
        }
      }
    }
  },
} satisfies Readonly<Record<string, Evaluator>>;
