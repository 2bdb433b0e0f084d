import type { ValueId } from '@selfsup/compile';
import { ELEMENT } from '../element.js';
import { wordOf } from './attributes.js';
import type { Emitted, Emitter, EmitOperation, NodeView } from './emitter.js';

/** Shape of arrays broadcast against each other; they are known to fit. */
function broadcast(shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((s) => s.length));
  return Array.from({ length: rank }, (_, i) =>
    Math.max(...shapes.map((s) => s[s.length - rank + i] ?? 1).map((d) => (d === 0 ? Infinity : d))),
  ).map((d) => (d === Infinity ? 0 : d));
}

/** A last dimension up to this long makes onnxruntime broadcast in steps of a few numbers, ten times slower. */
const SHORT = 64;

/**
 * Writes a short constant that is added (or the like) to every pixel, such as the mean of the colours, once per pixel of
 * a row, so that whole rows are worked on at a time.
 */
function widened(e: Emitter, id: ValueId, shape: readonly number[]): Emitted | undefined {
  const data = e.shortConstant(id);
  const [width, channels] = shape.slice(-2);
  if (shape.length < 3 || data === undefined || data.length !== channels || channels > SHORT) return undefined;
  const tiled = Float32Array.from({ length: width * channels }, (_, i) => data[i % channels]);
  return { name: e.model.f32(tiled, [width, channels]), shape: [width, channels] };
}

/** Emits an element-wise operation on operands that may still be unexpanded; the result is as small as they allow. */
function elementwise(write: (e: Emitter, x: string[], node: NodeView) => string): EmitOperation {
  return (e, node) => {
    const { shape } = node.outputs[0];
    const operands = node.inputs.map((v) => widened(e, v.id, shape) ?? e.operand(v.id));
    const name = write(
      e,
      operands.map((o) => o.name),
      node,
    );
    e.define(node.outputs[0], name, broadcast(operands.map((o) => o.shape)));
  };
}

const simple = (op: string): EmitOperation => elementwise((e, x) => e.op(op, x));

const isInteger = (node: NodeView): boolean => node.outputs[0].dtype === 'i32';

/** Integers by way of doubles: exact, and a division by zero must not kill the process. */
function throughDouble(e: Emitter, x: string[], write: (x: string[]) => string): string {
  return e.cast(write(x.map((name) => e.cast(name, ELEMENT.f64))), ELEMENT.i32);
}

const COMPARE: Readonly<Record<string, { op: string; not?: boolean }>> = {
  EQ: { op: 'Equal' },
  NE: { op: 'Equal', not: true },
  LT: { op: 'Less' },
  LE: { op: 'LessOrEqual' },
  GT: { op: 'Greater' },
  GE: { op: 'GreaterOrEqual' },
};

const compare = elementwise((e, x, node) => {
  const direction = wordOf(node, 'direction');
  const { op, not } = COMPARE[direction];
  // Order of bools is order of 0 and 1; onnxruntime compares only their equality.
  const ordered = op !== 'Equal' && node.inputs[0].dtype === 'bool';
  const found = e.op(op, ordered ? x.map((name) => e.cast(name, ELEMENT.i32)) : x);
  return not === true ? e.op('Not', [found]) : found;
});

const select = elementwise((e, [predicate, a, b], node) => {
  if (node.outputs[0].dtype !== 'bool') return e.op('Where', [predicate, a, b]);
  return e.op('Or', [e.op('And', [predicate, a]), e.op('And', [e.op('Not', [predicate]), b])]);
});

/** atan(y / x) put into the right half-plane; the signs of zeros decide on the axes as in C, except for x = -0. */
const atan2 = elementwise((e, [y, x]) => {
  const zero = e.model.f32(0);
  const half = e.model.f32(Math.PI / 2);
  // min / max of the sizes stays within [0, 1], so nothing overflows; 0 / 0 becomes 0.
  const [ay, ax] = [e.op('Abs', [y]), e.op('Abs', [x])];
  const large = e.op('Max', [ay, ax]);
  const safe = e.op('Where', [e.op('Equal', [large, zero]), e.model.f32(1), large]);
  const base = e.op('Atan', [e.op('Div', [e.op('Min', [ay, ax]), safe])]);
  const first = e.op('Where', [e.op('Greater', [ay, ax]), e.op('Sub', [half, base]), base]);
  const upper = e.op('Where', [e.op('Less', [x, zero]), e.op('Sub', [e.model.f32(Math.PI), first]), first]);
  return e.op('Where', [e.op('Less', [y, zero]), e.op('Neg', [upper]), upper]);
});

/** e^x - 1: near 0 as 2t / (1 - t) with t = tanh(x / 2), which keeps its digits. */
const exponentialMinusOne = elementwise((e, [x]) => {
  const t = e.op('Tanh', [e.op('Mul', [x, e.model.f32(0.5)])]);
  const near = e.op('Div', [e.op('Add', [t, t]), e.op('Sub', [e.model.f32(1), t])]);
  const far = e.op('Sub', [e.op('Exp', [x]), e.model.f32(1)]);
  return e.op('Where', [e.op('Less', [e.op('Abs', [x]), e.model.f32(0.5)]), near, far]);
});

/** log(1 + x): with u = 1 + x rounded, log(u) x / (u - 1) takes the rounding back (Kahan). */
const logPlusOne = elementwise((e, [x]) => {
  const u = e.op('Add', [x, e.model.f32(1)]);
  const d = e.op('Sub', [u, e.model.f32(1)]);
  const log = e.op('Log', [u]);
  const kept = e.op('Mul', [log, e.op('Div', [x, d])]);
  const large = e.op('Where', [e.op('Greater', [u, e.model.f32(1e6)]), log, kept]);
  return e.op('Where', [e.op('Equal', [u, e.model.f32(1)]), x, large]);
});

/** Powers with a small constant exponent as products and roots. */
const power = elementwise((e, [x, y], node) => {
  const exponent = e.splat(node.inputs[1].id);
  if (exponent === 2) return e.op('Mul', [x, x]);
  if (exponent === 0.5 && !isInteger(node)) return e.op('Sqrt', [x]);
  return e.op('Pow', [x, y]);
});

/** x - x is 0 for finite x and NaN for the others: two cheap passes. */
const isFinite = elementwise((e, [x]) => e.op('Equal', [e.op('Sub', [x, x]), e.model.f32(0)]));

const convert: EmitOperation = (e, node) => {
  const [from] = node.inputs;
  const [to] = node.outputs;
  // Bytes go to their final type in one step.
  const bytes = e.bytes(from.id);
  const { name, shape } = bytes === undefined ? e.operand(from.id) : { name: bytes, shape: from.shape };
  e.define(to, from.dtype === to.dtype && bytes === undefined ? name : e.cast(name, ELEMENT[to.dtype]), shape);
};

/** Element-wise operations. */
export const ELEMENTWISE = {
  add: simple('Add'),
  subtract: simple('Sub'),
  multiply: simple('Mul'),
  divide: elementwise((e, x, node) => (isInteger(node) ? throughDouble(e, x, (d) => e.op('Div', d)) : e.op('Div', x))),
  maximum: simple('Max'),
  minimum: simple('Min'),
  power,
  remainder: elementwise((e, x, node) =>
    isInteger(node) ? throughDouble(e, x, (d) => e.op('Mod', d, { fmod: 1 })) : e.op('Mod', x, { fmod: 1 }),
  ),
  atan2,
  and: simple('And'),
  or: simple('Or'),
  xor: simple('Xor'),
  compare,
  select,
  negate: simple('Neg'),
  abs: simple('Abs'),
  sign: simple('Sign'),
  exponential: simple('Exp'),
  exponential_minus_one: exponentialMinusOne,
  log: simple('Log'),
  log_plus_one: logPlusOne,
  sqrt: simple('Sqrt'),
  rsqrt: elementwise((e, x) => e.op('Reciprocal', [e.op('Sqrt', x)])),
  floor: simple('Floor'),
  ceil: simple('Ceil'),
  round_nearest_even: simple('Round'),
  erf: simple('Erf'),
  tanh: simple('Tanh'),
  logistic: simple('Sigmoid'),
  sine: simple('Sin'),
  cosine: simple('Cos'),
  tan: simple('Tan'),
  asin: simple('Asin'),
  acos: simple('Acos'),
  atan: simple('Atan'),
  sinh: simple('Sinh'),
  cosh: simple('Cosh'),
  asinh: simple('Asinh'),
  acosh: simple('Acosh'),
  atanh: simple('Atanh'),
  not: simple('Not'),
  is_finite: isFinite,
  convert,
} satisfies Record<string, EmitOperation>;
