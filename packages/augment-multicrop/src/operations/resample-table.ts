/** Resampling filters, with Pillow's constants. */
export type Interpolation = 'bilinear' | 'bicubic';

/**
 * Fixed-point weights of one axis, laid out for the kernels (assembly/resample.ts): per output position the first input
 * position, the number of pairs of taps, then per pair the high and the low halves of both weights.
 */
export interface ResampleTable {
  readonly data: Int32Array<ArrayBuffer>;
  /** Bytes per output position. */
  readonly stride: number;
}

/** Bits behind the point: a byte times weights that overshoot a little still sums up in 32 bits. */
const PRECISION_BITS = 22;
const LOW_BITS = 15;

/** @internal */
export interface Filter {
  readonly support: number;
  weight(x: number): number;
}

/** @internal */
export const FILTERS: Readonly<Record<Interpolation, Filter>> = {
  bilinear: {
    support: 1,
    weight: (x) => Math.max(0, 1 - Math.abs(x)),
  },
  // Keys' cubic with a = -0.5, in Pillow's order of operations: the last digit counts.
  bicubic: {
    support: 2,
    weight(signed) {
      const a = -0.5;
      const x = Math.abs(signed);
      if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
      if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
      return 0;
    },
  },
};

/** Two 16-bit halves in one word, the first lowest. */
function pack(first: number, second: number): number {
  return (first & 0xffff) | (second << 16);
}

/** Weights of Pillow's antialiased resampling of `inSize` positions to `outSize` (Resample.c, `precompute_coeffs`). */
function computeTable(inSize: number, outSize: number, interpolation: Interpolation): ResampleTable {
  const filter = FILTERS[interpolation];
  const scale = inSize / outSize;
  const filterScale = Math.max(scale, 1);
  const support = filter.support * filterScale;
  const step = 1 / filterScale;
  const weights = new Float64Array(Math.ceil(support) * 2 + 2);
  const words = 2 + weights.length;
  const data = new Int32Array(outSize * words);
  for (let out = 0; out < outSize; out++) {
    const center = (out + 0.5) * scale;
    let first = Math.max(0, Math.trunc(center - support + 0.5));
    let count = Math.min(inSize, Math.trunc(center + support + 0.5)) - first;
    let sum = 0;
    weights.fill(0);
    for (let i = 0; i < count; i++) {
      weights[i] = filter.weight((i + first - center + 0.5) * step);
      sum += weights[i];
    }
    for (let i = 0; i < count; i++) {
      const w = (sum === 0 ? weights[i] : weights[i] / sum) * (1 << PRECISION_BITS);
      weights[i] = Math.trunc(w < 0 ? w - 0.5 : w + 0.5);
    }
    // Weights of exactly nothing at the ends need not be visited.
    while (count > 1 && weights[count - 1] === 0) count--;
    let skip = 0;
    while (skip < count - 1 && weights[skip] === 0) skip++;
    first += skip;
    count -= skip;
    const entry = out * words;
    data[entry] = first;
    data[entry + 1] = (count + 1) >> 1;
    for (let i = 0; i < count; i += 2) {
      const a = weights[skip + i];
      const b = i + 1 < count ? weights[skip + i + 1] : 0;
      data[entry + 2 + i] = pack(a >> LOW_BITS, b >> LOW_BITS);
      data[entry + 3 + i] = pack(a & ((1 << LOW_BITS) - 1), b & ((1 << LOW_BITS) - 1));
    }
  }
  return { data, stride: words * 4 };
}

const MAX_KEPT_BYTES = 1 << 24;
const tables = new Map<string, ResampleTable>();
let keptBytes = 0;

/** The weights for a pair of sizes, kept for the next picture: crops of like photos repeat them. */
export function resampleTable(inSize: number, outSize: number, interpolation: Interpolation): ResampleTable {
  const key = `${interpolation} ${inSize} ${outSize}`;
  let table = tables.get(key);
  if (table === undefined) {
    table = computeTable(inSize, outSize, interpolation);
    keptBytes += table.data.byteLength;
    if (keptBytes > MAX_KEPT_BYTES) {
      tables.clear();
      keptBytes = table.data.byteLength;
    }
    tables.set(key, table);
  }
  return table;
}
