import { flagOf, numberOf, numbersOf, wordOf } from '../graph/attributes.js';
import { reducedShape } from '../graph/infer-shapes.js';
import { offsetsOf, splitAt, stridesOf, type Evaluator } from './host-value.js';

interface Reduction {
  readonly start: number;
  readonly combine: (total: number, x: number) => number;
}

const REDUCTIONS: Readonly<Record<string, Reduction>> = {
  sum: { start: 0, combine: (total, x) => total + x },
  prod: { start: 1, combine: (total, x) => total * x },
  max: { start: -Infinity, combine: Math.max },
  min: { start: Infinity, combine: Math.min },
  any: { start: 0, combine: (total, x) => total | x },
  all: { start: 1, combine: (total, x) => total & x },
};

/** Index along an axis of the first element that no other beats. */
const arg =
  (beats: (a: number, b: number) => boolean): Evaluator =>
  ([x], [out], attrs) => {
    const { length, inner } = splitAt(x.shape, numberOf(attrs, 'dimension'));
    for (let i = 0; i < out.data.length; i++) {
      const at = (k: number): number => x.data[(Math.floor(i / inner) * length + k) * inner + (i % inner)];
      let best = 0;
      for (let k = 1; k < length; k++) if (beats(at(k), at(best))) best = k;
      out.data[i] = best;
    }
  };

/** Operations that run along axes. Sums are taken in double whatever the precision. */
export const REDUCTION = {
  reduce: ([x], [out], attrs) => {
    const dimensions = numbersOf(attrs, 'dimensions');
    const { start, combine } = REDUCTIONS[wordOf(attrs, 'kind')];
    const kept = stridesOf(reducedShape(x.shape, dimensions, true));
    const strides = kept.map((s, i) => (dimensions.includes(i) ? 0 : s));
    const offsets = offsetsOf(x.shape, strides);
    const totals = new Float64Array(out.data.length).fill(start);
    for (let i = 0; i < offsets.length; i++) totals[offsets[i]] = combine(totals[offsets[i]], x.data[i]);
    out.data.set(totals);
  },
  argmax: arg((a, b) => a > b),
  argmin: arg((a, b) => a < b),
  cumsum: ([x], [out], attrs) => {
    const { outer, length, inner } = splitAt(x.shape, numberOf(attrs, 'dimension'));
    const exclusive = flagOf(attrs, 'exclusive');
    const reverse = flagOf(attrs, 'reverse');
    for (let lane = 0; lane < outer * inner; lane++) {
      const start = Math.floor(lane / inner) * length * inner + (lane % inner);
      let total = 0;
      for (let k = 0; k < length; k++) {
        const i = start + (reverse ? length - 1 - k : k) * inner;
        const before = total;
        total += x.data[i];
        out.data[i] = exclusive ? before : total;
      }
    }
  },
  top_k: ([x], [values, indices], attrs) => {
    const k = numberOf(attrs, 'k');
    const width = x.shape[x.shape.length - 1];
    for (let row = 0; row * k < values.data.length; row++) {
      const data = x.data.subarray(row * width, (row + 1) * width);
      const order = Array.from(data.keys()).sort((a, b) => data[b] - data[a] || a - b);
      for (let i = 0; i < k; i++) {
        indices.data[row * k + i] = order[i];
        values.data[row * k + i] = data[order[i]];
      }
    }
  },
} satisfies Readonly<Record<string, Evaluator>>;
