import { wordOf } from '../graph/attributes.js';
import { erf } from './erf.js';
import { broadcastStrides, offsetsOf, type Evaluator, type HostValue } from './host-value.js';

/** Calls `f` with the elements of all inputs, broadcast, for every element of the output. */
function broadcastInto(inputs: readonly HostValue[], out: HostValue, f: (...x: number[]) => number): void {
  const offsets = inputs.map((x) => offsetsOf(out.shape, broadcastStrides(x.shape, out.shape)));
  for (let i = 0; i < out.data.length; i++) out.data[i] = f(...inputs.map((x, k) => x.data[offsets[k][i]]));
}

const elementwise =
  (f: (...x: number[]) => number): Evaluator =>
  (inputs, [out]) =>
    broadcastInto(inputs, out, f);

/** `f` for f32, `integer` for i32. Storing into an Int32Array truncates and wraps around. */
const numeric =
  (f: (a: number, b: number) => number, integer: (a: number, b: number) => number): Evaluator =>
  (inputs, [out]) =>
    broadcastInto(inputs, out, out.dtype === 'i32' ? integer : f);

const COMPARISONS: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  EQ: (a, b) => a === b,
  NE: (a, b) => a !== b,
  LT: (a, b) => a < b,
  LE: (a, b) => a <= b,
  GT: (a, b) => a > b,
  GE: (a, b) => a >= b,
};

/** Half-way cases go to the even neighbour. */
function roundNearestEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  if (rest !== 0.5) return rest < 0.5 ? down : down + 1;
  return down % 2 === 0 ? down : down + 1;
}

/** Never overflows: e^-|x| is at most 1. */
function logistic(x: number): number {
  const e = Math.exp(-Math.abs(x));
  return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

/** Element-wise operations, with broadcasting. */
export const ELEMENTWISE = {
  add: elementwise((a, b) => a + b),
  subtract: elementwise((a, b) => a - b),
  multiply: numeric((a, b) => a * b, Math.imul),
  divide: elementwise((a, b) => a / b),
  maximum: elementwise(Math.max),
  minimum: elementwise(Math.min),
  power: elementwise((a, b) => a ** b),
  remainder: elementwise((a, b) => a % b),
  atan2: elementwise(Math.atan2),
  and: elementwise((a, b) => a & b),
  or: elementwise((a, b) => a | b),
  xor: elementwise((a, b) => a ^ b),
  compare: (inputs, [out], attrs) => {
    const holds = COMPARISONS[wordOf(attrs, 'direction')];
    broadcastInto(inputs, out, (a, b) => Number(holds(a, b)));
  },
  select: elementwise((condition, a, b) => (condition !== 0 ? a : b)),
  negate: elementwise((x) => -x),
  abs: elementwise(Math.abs),
  sign: elementwise(Math.sign),
  exponential: elementwise(Math.exp),
  exponential_minus_one: elementwise(Math.expm1),
  log: elementwise(Math.log),
  log_plus_one: elementwise(Math.log1p),
  sqrt: elementwise(Math.sqrt),
  rsqrt: elementwise((x) => 1 / Math.sqrt(x)),
  floor: elementwise(Math.floor),
  ceil: elementwise(Math.ceil),
  round_nearest_even: elementwise(roundNearestEven),
  erf: elementwise(erf),
  tanh: elementwise(Math.tanh),
  logistic: elementwise(logistic),
  sine: elementwise(Math.sin),
  cosine: elementwise(Math.cos),
  tan: elementwise(Math.tan),
  asin: elementwise(Math.asin),
  acos: elementwise(Math.acos),
  atan: elementwise(Math.atan),
  sinh: elementwise(Math.sinh),
  cosh: elementwise(Math.cosh),
  asinh: elementwise(Math.asinh),
  acosh: elementwise(Math.acosh),
  atanh: elementwise(Math.atanh),
  not: elementwise((x) => Number(x === 0)),
  is_finite: elementwise((x) => Number(Number.isFinite(x))),
  convert: ([x], [out]) => {
    broadcastInto([x], out, out.dtype === 'bool' ? (v) => Number(v !== 0) : (v) => v);
  },
} satisfies Readonly<Record<string, Evaluator>>;
