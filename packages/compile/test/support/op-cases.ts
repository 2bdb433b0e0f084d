import { sizeOf, type HostArray } from '@selfsup/core';
import fc from 'fast-check';
import {
  GraphBuilder,
  type Attribute,
  type Graph,
  type GraphDType,
  type Op,
  type OutputSpec,
  type Primitive,
} from '../../src/index.js';
import { broadcastShapes, inferShapes } from '../../src/graph/infer-shapes.js';

/** An input drawn for an operation. */
export interface DrawnInput {
  readonly shape: readonly number[];
  readonly dtype: GraphDType;
  readonly data: HostArray;
}

/** One operation with inputs and attributes that fit it. */
export interface OpCase {
  readonly op: Op;
  readonly inputs: readonly DrawnInput[];
  readonly attrs: Readonly<Record<string, Attribute>>;
  readonly outputs: readonly OutputSpec[];
}

type Attrs = OpCase['attrs'];
type Shape = readonly number[];

/** Draws one thing after another; what the recipes below are written in. */
class Draw {
  readonly #g: fc.GeneratorValue;

  constructor(g: fc.GeneratorValue) {
    this.#g = g;
  }

  integer(min: number, max: number): number {
    return this.#g(fc.integer, { min, max });
  }

  flag(): boolean {
    return this.#g(fc.boolean);
  }

  pick<T>(...choices: T[]): T {
    return this.#g(() => fc.constantFrom(...choices));
  }

  shape(minRank = 0, maxRank = 4, largest = 4): number[] {
    return this.#g(() => fc.array(fc.integer({ min: 1, max: largest }), { minLength: minRank, maxLength: maxRank }));
  }

  /** Multiples of 1/64 between two numbers (exact in float32), none nearer to zero than `apart`. */
  f32(shape: Shape, min = -4, max = 4, apart = 0): DrawnInput {
    const n = sizeOf(shape);
    const steps = fc.integer({ min: Math.ceil(min * 64), max: Math.floor(max * 64) });
    const elements = steps.filter((s) => Math.abs(s) >= apart * 64);
    const data = this.#g(() => fc.array(elements, { minLength: n, maxLength: n }));
    return { shape, dtype: 'f32', data: Float32Array.from(data, (s) => s / 64) };
  }

  i32(shape: Shape, min = -9, max = 9, apart = 0): DrawnInput {
    const n = sizeOf(shape);
    const elements = fc.integer({ min, max }).filter((x) => Math.abs(x) >= apart);
    const data = this.#g(() => fc.array(elements, { minLength: n, maxLength: n }));
    return { shape, dtype: 'i32', data: Int32Array.from(data) };
  }

  bool(shape: Shape): DrawnInput {
    return { ...this.i32(shape, 0, 1), dtype: 'bool', data: Uint8Array.from(this.i32(shape, 0, 1).data) };
  }

  of(dtype: GraphDType, shape: Shape): DrawnInput {
    return dtype === 'f32' ? this.f32(shape) : dtype === 'i32' ? this.i32(shape) : this.bool(shape);
  }

  /** A shape that broadcasts to the given one: leading dimensions dropped, others stretched from 1. */
  narrower(shape: Shape): number[] {
    return shape.slice(this.integer(0, shape.length)).map((d) => (this.integer(0, 2) === 0 ? 1 : d));
  }

  /** Two shapes that broadcast against each other. */
  pair(): [number[], number[]] {
    const shape = this.shape();
    return this.flag() ? [shape, this.narrower(shape)] : [this.narrower(shape), this.narrower(shape)];
  }

  axis(shape: Shape): number {
    return this.integer(0, shape.length - 1);
  }

  axes(shape: Shape): number[] {
    return shape.flatMap((_, i) => (this.flag() ? [i] : []));
  }
}

type Drawn = Pick<OpCase, 'inputs'> & { attrs?: Attrs; outputs?: readonly OutputSpec[]; dtype?: GraphDType };
type Recipe = (d: Draw) => Drawn;

const unary =
  (min = -4, max = 4, apart = 0): Recipe =>
  (d) => ({ inputs: [d.f32(d.shape(), min, max, apart)] });

const numeric: Recipe = (d) => {
  const dtype = d.pick<GraphDType>('f32', 'i32');
  const [a, b] = d.pair();
  return { inputs: [d.of(dtype, a), d.of(dtype, b)] };
};

const signed: Recipe = (d) => ({ inputs: [d.of(d.pick<GraphDType>('f32', 'i32'), d.shape())] });

/** Numerator and divisor, which keeps away from zero. */
const quotient: Recipe = (d) => {
  const [a, b] = d.pair();
  return d.flag() ? { inputs: [d.f32(a), d.f32(b, -4, 4, 0.25)] } : { inputs: [d.i32(a, -99, 99), d.i32(b, -9, 9, 1)] };
};

const logical: Recipe = (d) => {
  const [a, b] = d.pair();
  return { inputs: [d.bool(a), d.bool(b)] };
};

const anyType = (d: Draw): GraphDType => d.pick<GraphDType>('f32', 'i32', 'bool');

const arg: Recipe = (d) => {
  const shape = d.shape(1);
  // Few distinct values, so that some are equal.
  const x = d.flag() ? d.i32(shape, -2, 2) : { ...d.i32(shape, -2, 2), dtype: 'f32' as const };
  const input = x.dtype === 'f32' ? { ...x, data: Float32Array.from(x.data) } : x;
  return { inputs: [input], attrs: { dimension: d.axis(shape) }, dtype: 'i32' };
};

function convolutionShapes(d: Draw): { x: number[]; w: number[]; attrs: Attrs } {
  const groups = d.integer(1, 3);
  const inner = d.integer(1, 2);
  const perGroup = d.integer(1, 2);
  const window = [d.integer(1, 3), d.integer(1, 3)];
  const dilations = [d.integer(1, 2), d.integer(1, 2)];
  const reach = window.map((size, i) => (size - 1) * dilations[i] + 1);
  const x = [d.integer(1, 2), reach[0] + d.integer(0, 3), reach[1] + d.integer(0, 3), inner * groups];
  const padding = [0, 1, 2, 3].map(() => d.integer(0, 1));
  const strides = [d.integer(1, 2), d.integer(1, 2)];
  return { x, w: [...window, inner, perGroup * groups], attrs: { strides, dilations, padding, groups } };
}

function outputOf(op: Op, attrs: Attrs, inputs: readonly Shape[]): Shape {
  const shapes = inferShapes({ op, attrs }, inputs, []);
  if (typeof shapes === 'string') throw new Error(`${op}: drawn inputs do not fit: ${shapes}`);
  return shapes[0];
}

const window: Recipe = (d) => {
  const size = [d.integer(1, 3), d.integer(1, 3)];
  const shape = [d.integer(1, 2), size[0] + d.integer(0, 3), size[1] + d.integer(0, 3), d.integer(1, 3)];
  // No window lies in the padding alone.
  const padding = [0, 0, 1, 1].map((axis) => d.integer(0, size[axis] - 1));
  const strides = [d.integer(1, 3), d.integer(1, 3)];
  return { inputs: [d.f32(shape, -1, 1)], attrs: { kind: d.pick('max', 'sum'), window: size, strides, padding } };
};

const resize: Recipe = (d) => {
  const [batch, h, w, c] = [d.integer(1, 2), d.integer(1, 5), d.integer(1, 5), d.integer(1, 2)];
  const [alignCorners, halfPixelCenters] = d.pick([false, false], [true, false], [false, true]);
  return {
    inputs: [d.f32([batch, h, w, c])],
    attrs: { alignCorners, halfPixelCenters },
    outputs: [{ shape: [batch, d.integer(1, 7), d.integer(1, 7), c], dtype: 'f32' }],
  };
};

const perAxis =
  (attrs: (d: Draw, shape: Shape) => Attrs): Recipe =>
  (d) => {
    const shape = d.shape(1, 5);
    return { inputs: [d.of(anyType(d), shape)], attrs: attrs(d, shape) };
  };

const RECIPES: Readonly<Record<Primitive | 'softmax' | 'top_k', Recipe>> = {
  add: numeric,
  subtract: numeric,
  multiply: numeric,
  divide: quotient,
  maximum: numeric,
  minimum: numeric,
  power: (d) => {
    const [a, b] = d.pair();
    return { inputs: [d.f32(a, 0.25, 4), d.f32(b, -2, 2)] };
  },
  remainder: quotient,
  atan2: (d) => {
    const [a, b] = d.pair();
    return { inputs: [d.f32(a), d.f32(b, -4, 4, 0.25)] };
  },
  and: logical,
  or: logical,
  xor: logical,
  compare: (d) => {
    const [a, b] = d.pair();
    const direction = d.pick('EQ', 'NE', 'LT', 'LE', 'GT', 'GE');
    const inputs = d.flag() ? [d.i32(a, -1, 1), d.i32(b, -1, 1)] : [d.f32(a, -0.02, 0.02), d.f32(b, -0.02, 0.02)];
    return { inputs, attrs: { direction }, dtype: 'bool' };
  },
  select: (d) => {
    const shape = d.shape();
    const dtype = anyType(d);
    const inputs = [d.bool(d.narrower(shape)), d.of(dtype, d.narrower(shape)), d.of(dtype, d.narrower(shape))];
    return { inputs, dtype };
  },
  negate: signed,
  abs: signed,
  sign: signed,
  exponential: unary(),
  exponential_minus_one: unary(),
  log: unary(0.02, 9),
  log_plus_one: unary(-0.9, 9),
  sqrt: unary(0, 9),
  rsqrt: unary(0.1, 9),
  floor: unary(),
  ceil: unary(),
  round_nearest_even: (d) => {
    const halves = d.i32(d.shape(), -9, 9);
    return { inputs: [{ ...halves, dtype: 'f32', data: Float32Array.from(halves.data, (x) => x / 2) }] };
  },
  erf: unary(),
  tanh: unary(),
  logistic: unary(-20, 20),
  sine: unary(),
  cosine: unary(),
  tan: unary(-1.3, 1.3),
  asin: unary(-1, 1),
  acos: unary(-1, 1),
  atan: unary(),
  sinh: unary(),
  cosh: unary(),
  asinh: unary(),
  acosh: unary(1, 9),
  atanh: unary(-0.95, 0.95),
  not: (d) => ({ inputs: [d.bool(d.shape())] }),
  is_finite: (d) => {
    const x = d.f32(d.shape(1));
    const special = [NaN, Infinity, -Infinity, 3e38];
    return { inputs: [{ ...x, data: x.data.map((v) => special[d.integer(0, 7)] ?? v) }], dtype: 'bool' };
  },
  convert: (d) => ({ inputs: [d.of(anyType(d), d.shape())], dtype: anyType(d) }),
  reshape: (d) => {
    const shape = d.shape(0, 5);
    const dtype = anyType(d);
    const flat = d.flag() ? [sizeOf(shape)] : [1, ...shape].reverse();
    return { inputs: [d.of(dtype, shape)], outputs: [{ shape: flat, dtype }] };
  },
  broadcast_in_dim: (d) => {
    const shape = d.shape(0, 5);
    const dtype = anyType(d);
    return { inputs: [d.of(dtype, d.narrower(shape))], outputs: [{ shape, dtype }] };
  },
  transpose: perAxis((d, shape) => {
    const permutation: number[] = [];
    shape.forEach((_, i) => permutation.splice(d.integer(0, i), 0, i));
    return { permutation };
  }),
  slice: perAxis((d, shape) => {
    const start = shape.map((size) => d.integer(0, size - 1));
    const limit = shape.map((size, i) => d.integer(start[i] + 1, size));
    const unit = d.flag();
    return { start, limit, strides: shape.map(() => (unit ? 1 : d.integer(1, 3))) };
  }),
  pad: (d) => {
    const shape = d.shape(1, 5);
    const attrs = { low: shape.map(() => d.integer(0, 2)), high: shape.map(() => d.integer(0, 2)), value: 1 };
    return { inputs: [d.of(anyType(d), shape)], attrs };
  },
  concatenate: (d) => {
    const shape = d.shape(1);
    const dimension = d.axis(shape);
    const dtype = anyType(d);
    const part = (): Shape => shape.map((size, i) => (i === dimension ? d.integer(1, 3) : size));
    return { inputs: Array.from({ length: d.integer(1, 3) }, () => d.of(dtype, part())), attrs: { dimension } };
  },
  reverse: perAxis((d, shape) => ({ dimensions: d.axes(shape) })),
  dot_general: (d) => {
    const [m, k, n] = [d.integer(1, 4), d.integer(1, 4), d.integer(1, 4)];
    const [transposeA, transposeB] = [d.flag(), d.flag()];
    const [batchA, batchB] = d.flag() ? [d.shape(0, 2), []] : d.pair();
    const a = d.f32([...batchA, ...(transposeA ? [k, m] : [m, k])]);
    const b = d.f32([...batchB, ...(transposeB ? [n, k] : [k, n])]);
    return { inputs: [a, b], attrs: { transposeA, transposeB } };
  },
  reduce: (d) => {
    const shape = d.shape(0, 4, 3);
    const kind = d.pick('sum', 'max', 'min', 'prod', 'any', 'all');
    const attrs = { kind, dimensions: d.axes(shape), keepDims: d.flag() };
    if (kind === 'any' || kind === 'all') return { inputs: [d.bool(shape)], attrs };
    // Products of up to 81 integers stay small.
    if (kind === 'prod') return { inputs: [d.flag() ? d.f32(shape, 0.75, 1.25) : d.i32(shape, -1, 1)], attrs };
    return { inputs: [d.of(d.pick<GraphDType>('f32', 'i32'), shape)], attrs };
  },
  argmax: arg,
  argmin: arg,
  cumsum: (d) => {
    const shape = d.shape(1);
    const attrs = { dimension: d.axis(shape), exclusive: d.flag(), reverse: d.flag() };
    return { inputs: [d.of(d.pick<GraphDType>('f32', 'i32'), shape)], attrs };
  },
  iota: (d) => {
    const dtype = d.pick<GraphDType>('f32', 'i32');
    const scale = dtype === 'f32' ? 0.25 : 1;
    const attrs = { start: d.integer(-5, 5) * scale, step: d.integer(-3, 3) * scale };
    return { inputs: [], attrs, outputs: [{ shape: [d.integer(1, 9)], dtype }] };
  },
  gather: (d) => {
    const shape = d.shape(1);
    const dimension = d.axis(shape);
    return {
      inputs: [d.of(anyType(d), shape), d.i32(d.shape(0, 2), 0, shape[dimension] - 1)],
      attrs: { dimension },
    };
  },
  scatter_add: (d) => {
    const [n, rows] = [d.integer(1, 6), d.integer(1, 4)];
    const updates = d.of(d.pick<GraphDType>('f32', 'i32'), [n, ...d.shape(0, 2)]);
    return { inputs: [d.i32([n], 0, rows - 1), updates], attrs: { rows }, dtype: updates.dtype };
  },
  one_hot: (d) => {
    const dtype = anyType(d);
    const [on, off] = dtype === 'bool' ? [1, 0] : [d.integer(1, 3), d.integer(-2, 0)];
    const depth = d.integer(1, 4);
    return { inputs: [d.i32(d.shape(0, 3), 0, depth)], attrs: { depth, on, off }, dtype };
  },
  convolution: (d) => {
    const { x, w, attrs } = convolutionShapes(d);
    return { inputs: [d.f32(x, -1, 1), d.f32(w, -1, 1)], attrs };
  },
  convolution_input_grad: (d) => {
    const { x, w, attrs } = convolutionShapes(d);
    const dy = d.f32(outputOf('convolution', attrs, [x, w]), -1, 1);
    return { inputs: [dy, d.f32(w, -1, 1)], attrs, outputs: [{ shape: x, dtype: 'f32' }] };
  },
  convolution_filter_grad: (d) => {
    const { x, w, attrs } = convolutionShapes(d);
    const dy = d.f32(outputOf('convolution', attrs, [x, w]), -1, 1);
    return { inputs: [d.f32(x, -1, 1), dy], attrs, outputs: [{ shape: w, dtype: 'f32' }] };
  },
  reduce_window: window,
  reduce_window_grad: (d) => {
    const { inputs, attrs = {} } = window(d);
    const dy = d.f32(outputOf('reduce_window', attrs, [inputs[0].shape]), -1, 1);
    return { inputs: [dy, ...inputs], attrs };
  },
  resize_bilinear: resize,
  resize_nearest: resize,
  softmax: (d) => ({ inputs: [d.f32(d.shape(1), -9, 9)] }),
  top_k: (d) => {
    const shape = d.shape(1, 3, 6);
    const k = d.integer(1, shape[shape.length - 1]);
    const x = d.flag() ? d.f32(shape) : d.i32(shape, -2, 2);
    const values = { shape: [...shape.slice(0, -1), k], dtype: x.dtype };
    return { inputs: [x], attrs: { k }, outputs: [values, { shape: values.shape, dtype: 'i32' }] };
  },
};

/** Operations cases can be drawn for: every primitive, softmax and top_k. */
export const DRAWN_OPS = Object.keys(RECIPES) as (keyof typeof RECIPES)[];

/** Cases of one operation. */
export function opCases(op: keyof typeof RECIPES): fc.Arbitrary<OpCase> {
  return fc.gen().map((g) => {
    const { inputs, attrs = {}, outputs, dtype } = RECIPES[op](new Draw(g));
    if (outputs !== undefined) return { op, inputs, attrs, outputs };
    const shapes = inputs.map((x) => x.shape);
    const asked = [shapes.reduce<Shape>((a, b) => broadcastShapes(a, b) ?? b, [])];
    const found = inferShapes({ op, attrs }, shapes, asked);
    if (typeof found === 'string') throw new Error(`${op}: drawn inputs do not fit: ${found}`);
    const type = dtype ?? inputs[inputs.length === 2 && op === 'gather' ? 0 : inputs.length - 1].dtype;
    return { op, inputs, attrs, outputs: found.map((shape) => ({ shape, dtype: type })) };
  });
}

/** The graph of one operation: batch inputs `x0`, `x1`, ..., metrics `y0`, ... */
export function caseGraph({ op, inputs, attrs, outputs }: OpCase): Graph {
  const b = new GraphBuilder();
  const ids = inputs.map(({ shape, dtype }, i) => b.input('batch', `x${i}`, { shape, dtype }));
  b.node(op, ids, attrs, outputs).forEach((id, i) => b.result('metric', `y${i}`, id));
  return b.build(op);
}

/** The batch of a case's graph. */
export function caseBatch({ inputs }: OpCase): Record<string, HostArray> {
  return Object.fromEntries(inputs.map(({ data }, i) => [`x${i}`, data]));
}
