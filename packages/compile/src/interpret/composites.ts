import { numberOf } from '../graph/attributes.js';
import { erfc } from './erf.js';
import type { Evaluator, NumericArray } from './host-value.js';

/** Distribution function of the standard normal. */
const normalCdf = (x: number): number => 0.5 * erfc(-x / Math.SQRT2);
const normalDensity = (x: number): number => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < a.length; i++) total += a[i] * b[i];
  return total;
}

function softmaxRow(x: ArrayLike<number>): Float64Array {
  const values = Float64Array.from(x);
  const largest = values.reduce((m, v) => Math.max(m, v), -Infinity);
  const e = values.map((v) => Math.exp(v - largest));
  const total = e.reduce((sum, v) => sum + v, 0);
  return e.map((v) => v / total);
}

/** Row `i` of an array of rows of some width. */
const rowOf = (data: NumericArray, width: number, i: number): NumericArray => data.subarray(i * width, (i + 1) * width);

const lastOf = (shape: readonly number[]): number => shape[shape.length - 1];

/** Calls `visit` with each query's number and its weights over the keys, `softmax(q . k scale)`. */
function forEachQuery(
  q: { shape: readonly number[]; data: NumericArray },
  k: { shape: readonly number[]; data: NumericArray },
  scale: number,
  visit: (query: number, firstKey: number, weights: Float64Array) => void,
): void {
  const [batch, heads, queries, width] = q.shape;
  const keys = k.shape[2];
  for (let query = 0; query < batch * heads * queries; query++) {
    const firstKey = Math.floor(query / queries) * keys;
    const row = rowOf(q.data, width, query);
    const logits = Float64Array.from({ length: keys }, (_, j) => scale * dot(row, rowOf(k.data, width, firstKey + j)));
    visit(query, firstKey, softmaxRow(logits));
  }
}

/** The composites other than matrix factorisations and top_k; inside, everything is in double. */
export const COMPOSITE = {
  softmax: ([x], [y]) => {
    const width = lastOf(x.shape);
    for (let i = 0; i * width < x.data.length; i++) y.data.set(softmaxRow(rowOf(x.data, width, i)), i * width);
  },
  softmax_grad: ([dy, y], [dx]) => {
    const width = lastOf(y.shape);
    for (let i = 0; i * width < y.data.length; i++) {
      const [g, p] = [rowOf(dy.data, width, i), rowOf(y.data, width, i)];
      const mean = dot(g, p);
      for (let j = 0; j < width; j++) dx.data[i * width + j] = p[j] * (g[j] - mean);
    }
  },
  gelu: ([x], [y]) => x.data.forEach((v, i) => (y.data[i] = v * normalCdf(v))),
  gelu_grad: ([dy, x], [dx]) => {
    x.data.forEach((v, i) => (dx.data[i] = dy.data[i] * (normalCdf(v) + v * normalDensity(v))));
  },
  layer_norm: ([x, weight, bias], [y, mean, rstd], attrs) => {
    const width = lastOf(x.shape);
    for (let i = 0; i < mean.data.length; i++) {
      const row = Float64Array.from(rowOf(x.data, width, i));
      const center = row.reduce((sum, v) => sum + v, 0) / width;
      const variance = row.reduce((sum, v) => sum + (v - center) ** 2, 0) / width;
      const scale = 1 / Math.sqrt(variance + numberOf(attrs, 'epsilon'));
      mean.data[i] = center;
      rstd.data[i] = scale;
      row.forEach((v, j) => (y.data[i * width + j] = (v - center) * scale * weight.data[j] + bias.data[j]));
    }
  },
  /** With xhat = (x - mean) rstd and g = dy weight: dx = rstd (g - mean(g) - xhat mean(g xhat)). */
  layer_norm_grad: ([dy, x, weight, mean, rstd], [dx, dweight, dbias]) => {
    const width = lastOf(x.shape);
    const weightSums = new Float64Array(width);
    const biasSums = new Float64Array(width);
    for (let i = 0; i < mean.data.length; i++) {
      const grad = Float64Array.from(rowOf(dy.data, width, i));
      const hat = Float64Array.from(rowOf(x.data, width, i), (v) => (v - mean.data[i]) * rstd.data[i]);
      const g = grad.map((v, j) => v * weight.data[j]);
      const meanG = g.reduce((sum, v) => sum + v, 0) / width;
      const meanGHat = dot(g, hat) / width;
      for (let j = 0; j < width; j++) {
        dx.data[i * width + j] = rstd.data[i] * (g[j] - meanG - hat[j] * meanGHat);
        weightSums[j] += grad[j] * hat[j];
        biasSums[j] += grad[j];
      }
    }
    dweight.data.set(weightSums);
    dbias.data.set(biasSums);
  },
  attention: ([q, k, v], [o], attrs) => {
    const width = lastOf(v.shape);
    forEachQuery(q, k, numberOf(attrs, 'scale'), (query, firstKey, weights) => {
      const total = new Float64Array(width);
      weights.forEach((p, j) => rowOf(v.data, width, firstKey + j).forEach((x, c) => (total[c] += p * x)));
      o.data.set(total, query * width);
    });
  },
  /** dS = P (dO vT - rowsum(dO O)) scale; dq = dS k, dk = dST q, dv = PT dO. */
  attention_grad: ([dout, q, k, v, o], [dq, dk, dv], attrs) => {
    const scale = numberOf(attrs, 'scale');
    const [width, valueWidth] = [lastOf(q.shape), lastOf(v.shape)];
    const sums = [dq, dk, dv].map((out) => new Float64Array(out.data.length));
    const add = (into: Float64Array, at: number, factor: number, row: NumericArray): void =>
      row.forEach((x, c) => (into[at + c] += factor * x));
    forEachQuery(q, k, scale, (query, firstKey, weights) => {
      const grad = rowOf(dout.data, valueWidth, query);
      const mean = dot(grad, rowOf(o.data, valueWidth, query));
      weights.forEach((p, j) => {
        const key = firstKey + j;
        const ds = p * (dot(grad, rowOf(v.data, valueWidth, key)) - mean) * scale;
        add(sums[0], query * width, ds, rowOf(k.data, width, key));
        add(sums[1], key * width, ds, rowOf(q.data, width, query));
        add(sums[2], key * valueWidth, p, grad);
      });
    });
    [dq, dk, dv].forEach((out, i) => out.data.set(sums[i]));
  },
} satisfies Readonly<Record<string, Evaluator>>;
