import type * as tf from '@tensorflow/tfjs-core';
import { wordOf } from '../graph/attributes.js';
import type { Kernels } from './kernels.js';
import type { Rule } from './rule.js';
import { broadcastTo } from './shape.js';
import { scalarLike } from './tensors.js';

const unary =
  (kernel: string): Rule =>
  ({ kernels, inputs: [x] }) =>
    kernels.run(kernel, { x });

const binary =
  (kernel: string): Rule =>
  ({ kernels, inputs: [a, b] }) =>
    kernels.run(kernel, { a, b });

const COMPARISONS: Readonly<Record<string, string>> = {
  EQ: 'Equal',
  NE: 'NotEqual',
  LT: 'Less',
  LE: 'LessEqual',
  GT: 'Greater',
  GE: 'GreaterEqual',
};

/** The Abs of some backends takes integers through float32. */
const magnitude = (k: Kernels, x: tf.Tensor): tf.Tensor =>
  x.dtype === 'int32' ? k.run('Maximum', { a: x, b: k.run('Neg', { x }) }) : k.run('Abs', { x });

/** `f(|a|, |b|)` with a sign put back: tfjs divides integers and takes remainders towards minus infinity. */
function onMagnitudes(k: Kernels, kernel: string, a: tf.Tensor, b: tf.Tensor, sign: tf.Tensor): tf.Tensor {
  const found = k.run(kernel, { a: magnitude(k, a), b: magnitude(k, b) });
  return k.run('Multiply', { a: found, b: sign });
}

const divide: Rule = ({ kernels: k, inputs: [a, b], outputs: [y] }) => {
  if (y.dtype === 'f32') return k.run('RealDiv', { a, b });
  const sign = k.run('Multiply', { a: k.run('Sign', { x: a }), b: k.run('Sign', { x: b }) });
  return onMagnitudes(k, 'FloorDiv', a, b, sign);
};

const remainder: Rule = ({ kernels: k, inputs: [a, b] }) => onMagnitudes(k, 'Mod', a, b, k.run('Sign', { x: a }));

/** The Cast of some backends keeps the bits below 256 instead of comparing with zero. */
const convert: Rule = ({ kernels: k, inputs: [x], outputs: [y] }) => {
  if (y.dtype === 'bool' && x.dtype !== 'bool') return k.run('NotEqual', { a: x, b: scalarLike(x, 0) });
  return k.run('Cast', { x }, { dtype: y.dtype === 'f32' ? 'float32' : y.dtype === 'i32' ? 'int32' : 'bool' });
};

/** The Select kernel takes three tensors of one shape. */
const select: Rule = ({ kernels: k, inputs, outputs: [y] }) => {
  const [condition, t, e] = inputs.map((x) => broadcastTo(k, x, y.shape));
  return k.run('Select', { condition, t, e });
};

/** Element-wise operations, with broadcasting. */
export const ELEMENTWISE = {
  add: binary('Add'),
  subtract: binary('Sub'),
  multiply: binary('Multiply'),
  divide,
  maximum: binary('Maximum'),
  minimum: binary('Minimum'),
  power: binary('Pow'),
  remainder,
  atan2: binary('Atan2'),
  and: binary('LogicalAnd'),
  or: binary('LogicalOr'),
  xor: binary('NotEqual'),
  compare: ({ kernels, inputs: [a, b], attrs }) => kernels.run(COMPARISONS[wordOf(attrs, 'direction')], { a, b }),
  select,
  negate: unary('Neg'),
  abs: ({ kernels, inputs: [x] }) => magnitude(kernels, x),
  sign: unary('Sign'),
  exponential: unary('Exp'),
  exponential_minus_one: unary('Expm1'),
  log: unary('Log'),
  log_plus_one: unary('Log1p'),
  sqrt: unary('Sqrt'),
  rsqrt: unary('Rsqrt'),
  floor: unary('Floor'),
  ceil: unary('Ceil'),
  round_nearest_even: unary('Round'),
  erf: unary('Erf'),
  tanh: unary('Tanh'),
  logistic: unary('Sigmoid'),
  sine: unary('Sin'),
  cosine: unary('Cos'),
  tan: unary('Tan'),
  asin: unary('Asin'),
  acos: unary('Acos'),
  atan: unary('Atan'),
  sinh: unary('Sinh'),
  cosh: unary('Cosh'),
  asinh: unary('Asinh'),
  acosh: unary('Acosh'),
  atanh: unary('Atanh'),
  not: unary('LogicalNot'),
  is_finite: unary('IsFinite'),
  convert,
} satisfies Readonly<Record<string, Rule>>;
