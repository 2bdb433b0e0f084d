import { wordOf } from '@selfsup/compile';
import { acos, acosh, asin, asinh, atan, atanh, cosh, erf, sinh, tan } from './functions.js';
import type { EmitOperation } from './operation.js';
import type { FunctionWriter, Tensor } from './writer.js';

/** An operation of StableHLO's own; operands broadcast. */
const simple =
  (op: string): EmitOperation =>
  (w, { inputs, outputs: [y] }) => [w.elementwise(op, inputs, y.shape, y.dtype)];

const written =
  (write: (w: FunctionWriter, x: Tensor) => Tensor): EmitOperation =>
  (w, { inputs: [x] }) => [write(w, x)];

/** Element-wise operations. */
export const ELEMENTWISE = {
  add: simple('add'),
  subtract: simple('subtract'),
  multiply: simple('multiply'),
  divide: simple('divide'),
  maximum: simple('maximum'),
  minimum: simple('minimum'),
  power: simple('power'),
  remainder: simple('remainder'),
  atan2: simple('atan2'),
  and: simple('and'),
  or: simple('or'),
  xor: simple('xor'),
  compare: (w, { attrs, inputs: [a, b], outputs: [y] }) => [w.compare(wordOf(attrs, 'direction'), a, b, y.shape)],
  select: (w, { inputs: [predicate, a, b], outputs: [y] }) => [w.select(predicate, a, b, y.shape)],
  negate: simple('negate'),
  abs: simple('abs'),
  sign: simple('sign'),
  exponential: simple('exponential'),
  exponential_minus_one: simple('exponential_minus_one'),
  log: simple('log'),
  log_plus_one: simple('log_plus_one'),
  sqrt: simple('sqrt'),
  rsqrt: simple('rsqrt'),
  floor: simple('floor'),
  ceil: simple('ceil'),
  round_nearest_even: simple('round_nearest_even'),
  erf: written(erf),
  tanh: simple('tanh'),
  logistic: simple('logistic'),
  sine: simple('sine'),
  cosine: simple('cosine'),
  tan: written(tan),
  asin: written(asin),
  acos: written(acos),
  atan: written(atan),
  sinh: written(sinh),
  cosh: written(cosh),
  asinh: written(asinh),
  acosh: written(acosh),
  atanh: written(atanh),
  not: simple('not'),
  is_finite: simple('is_finite'),
  convert: (w, { inputs: [x], outputs: [y] }) => [w.convert(x, y.dtype)],
} satisfies Record<string, EmitOperation>;
