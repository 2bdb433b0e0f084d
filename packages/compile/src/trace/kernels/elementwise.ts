import type { GraphDType, Op } from '../../graph/graph.js';
import type { GraphWriter, KernelCall, KernelRule, Traced } from '../kernel-context.js';

const unary =
  (op: Op): KernelRule =>
  (g, c) =>
    g.unary(op, c.in('x'));

const binary =
  (op: Op): KernelRule =>
  (g, c) =>
    g.binary(op, c.in('a'), c.in('b'));

const comparison =
  (direction: 'EQ' | 'NE' | 'LT' | 'LE' | 'GT' | 'GE'): KernelRule =>
  (g, c) =>
    g.compare(direction, c.in('a'), c.in('b'));

const logical =
  (op: Op): KernelRule =>
  (g, c) =>
    g.binary(op, c.in('a'), c.in('b'), 'bool');

const zeroOf = (g: GraphWriter, x: Traced): Traced => g.scalar(0, x.dtype);
const oneOf = (g: GraphWriter, x: Traced): Traced => g.scalar(1, x.dtype);

/** max(x, 0) + log(1 + exp(-|x|)): no overflow on either side. */
function softplus(g: GraphWriter, x: Traced): Traced {
  const tail = g.unary('log_plus_one', g.unary('exponential', g.unary('negate', g.unary('abs', x))));
  return g.binary('add', g.binary('maximum', x, zeroOf(g, x)), tail);
}

function where(g: GraphWriter, positive: Traced, yes: Traced, no: Traced): Traced {
  return g.select(g.compare('GT', positive, zeroOf(g, positive)), yes, no);
}

const SELU_ALPHA = 1.7580993408473768;
const SELU_SCALE = 1.0507009873554805;

/** Whether two numbers lie on different sides of zero. */
const differInSign = (g: GraphWriter, a: Traced, b: Traced): Traced =>
  g.binary('xor', g.compare('LT', a, zeroOf(g, a)), g.compare('LT', b, zeroOf(g, b)), 'bool');

/** Division rounds towards minus infinity, as tfjs defines it; whole numbers do not pass through floats. */
const floorDiv: KernelRule = (g, c) => {
  const [a, b] = [c.in('a'), c.in('b')];
  const quotient = g.binary('divide', a, b);
  if (a.dtype !== 'i32') return g.unary('floor', quotient);
  const rest = g.binary('subtract', a, g.binary('multiply', quotient, b));
  const down = g.binary('and', differInSign(g, a, b), g.compare('NE', rest, zeroOf(g, rest)), 'bool');
  return g.binary('subtract', quotient, g.convert(down, 'i32'));
};

/** Remainder with the divisor's sign, as tfjs defines Mod. */
const mod: KernelRule = (g, c) => {
  const [a, b] = [c.in('a'), c.in('b')];
  const rest = g.binary('remainder', a, b);
  return g.select(differInSign(g, a, b), g.binary('remainder', g.binary('add', rest, b), b), rest);
};

function addN(g: GraphWriter, c: KernelCall): Traced {
  return c.list.reduce((sum, x) => g.binary('add', sum, x));
}

const castTo = (g: GraphWriter, c: KernelCall): Traced => {
  const x = c.in('x');
  const to: GraphDType = c.attrs['dtype'] === 'float32' ? 'f32' : c.attrs['dtype'] === 'int32' ? 'i32' : 'bool';
  return to === 'bool' && x.dtype !== 'bool' ? g.compare('NE', x, zeroOf(g, x)) : g.convert(x, to);
};

/** Element-wise kernels of tfjs. */
export const ELEMENTWISE: Readonly<Record<string, KernelRule>> = {
  Add: binary('add'),
  Sub: binary('subtract'),
  Multiply: binary('multiply'),
  RealDiv: binary('divide'),
  Maximum: binary('maximum'),
  Minimum: binary('minimum'),
  Pow: binary('power'),
  Atan2: binary('atan2'),
  FloorDiv: floorDiv,
  Mod: mod,
  AddN: addN,
  SquaredDifference: (g, c) => {
    const d = g.binary('subtract', c.in('a'), c.in('b'));
    return g.binary('multiply', d, d);
  },
  Equal: comparison('EQ'),
  NotEqual: comparison('NE'),
  Less: comparison('LT'),
  LessEqual: comparison('LE'),
  Greater: comparison('GT'),
  GreaterEqual: comparison('GE'),
  LogicalAnd: logical('and'),
  LogicalOr: logical('or'),
  LogicalNot: unary('not'),
  Abs: unary('abs'),
  Neg: unary('negate'),
  Sign: unary('sign'),
  // tfjs takes whole numbers here, and asks for floats in all its neighbours.
  Exp: (g, c) => g.unary('exponential', g.convert(c.in('x'), 'f32')),
  Expm1: unary('exponential_minus_one'),
  Log: unary('log'),
  Log1p: unary('log_plus_one'),
  Sqrt: unary('sqrt'),
  Rsqrt: unary('rsqrt'),
  Floor: unary('floor'),
  Ceil: unary('ceil'),
  Round: unary('round_nearest_even'),
  Erf: unary('erf'),
  Tanh: unary('tanh'),
  Sigmoid: unary('logistic'),
  Sin: unary('sine'),
  Cos: unary('cosine'),
  Tan: unary('tan'),
  Asin: unary('asin'),
  Acos: unary('acos'),
  Atan: unary('atan'),
  Sinh: unary('sinh'),
  Cosh: unary('cosh'),
  Asinh: unary('asinh'),
  Acosh: unary('acosh'),
  Atanh: unary('atanh'),
  Square: (g, c) => g.binary('multiply', c.in('x'), c.in('x')),
  Reciprocal: (g, c) => g.binary('divide', oneOf(g, c.in('x')), c.in('x')),
  IsFinite: (g, c) => g.unary('is_finite', g.convert(c.in('x'), 'f32'), 'bool'),
  IsNan: (g, c) => g.compare('NE', c.in('x'), c.in('x')),
  IsInf: (g, c) => g.compare('EQ', g.unary('abs', g.convert(c.in('x'), 'f32')), g.scalar(Infinity)),
  Cast: castTo,
  Relu: (g, c) => g.binary('maximum', c.in('x'), zeroOf(g, c.in('x'))),
  Relu6: (g, c) => {
    const x = c.in('x');
    return g.binary('minimum', g.binary('maximum', x, zeroOf(g, x)), g.scalar(6, x.dtype));
  },
  LeakyRelu: (g, c) =>
    where(g, c.in('x'), c.in('x'), g.binary('multiply', c.in('x'), g.scalar(c.attrs['alpha'] as number))),
  Prelu: (g, c) => where(g, c.in('x'), c.in('x'), g.binary('multiply', c.in('x'), c.in('alpha'))),
  Elu: (g, c) => where(g, c.in('x'), c.in('x'), g.unary('exponential_minus_one', c.in('x'))),
  EluGrad: (g, c) =>
    where(g, c.in('y'), c.in('dy'), g.binary('multiply', c.in('dy'), g.binary('add', c.in('y'), g.scalar(1)))),
  Selu: (g, c) =>
    where(
      g,
      c.in('x'),
      g.binary('multiply', c.in('x'), g.scalar(SELU_SCALE)),
      g.binary('multiply', g.unary('exponential_minus_one', c.in('x')), g.scalar(SELU_ALPHA)),
    ),
  Softplus: (g, c) => softplus(g, c.in('x')),
  Step: (g, c) => {
    const x = c.in('x');
    const low = g.scalar((c.attrs['alpha'] as number | undefined) ?? 0, x.dtype);
    const stepped = where(g, x, oneOf(g, x), low);
    // tfjs keeps NaN as NaN here.
    return x.dtype === 'f32' ? g.select(g.compare('NE', x, x), x, stepped) : stepped;
  },
  ClipByValue: (g, c) =>
    g.binary(
      'minimum',
      g.binary('maximum', c.in('x'), g.scalar(c.attrs['clipValueMin'] as number, c.in('x').dtype)),
      g.scalar(c.attrs['clipValueMax'] as number, c.in('x').dtype),
    ),
  Select: (g, c) => {
    const condition = c.in('condition');
    const t = c.in('t');
    // A rank-1 condition selects whole rows.
    const rows = condition.shape.length === 1 && t.shape.length > 1;
    const shaped = rows ? g.reshape(condition, [condition.shape[0], ...t.shape.slice(1).map(() => 1)]) : condition;
    return g.select(shaped, t, c.in('e'));
  },
};
