import type { FunctionWriter, Tensor } from './writer.js';

/*
 * Functions StableHLO itself does not have (its companion dialect CHLO does, but carries no promise about versions).
 * Written so that digits are kept near zero and nothing overflows before its result does.
 */

const LN2 = Math.LN2;

/** erf rounds to 1 in float32 from here on. */
const ERF_LIMIT = 3.83;

/**
 * erf(x) / x as a quotient of polynomials in x^2 on |x| <= 3.83: our own minimax fit of the relative error, 1.3e-8 in
 * exact arithmetic, 3.3e-7 in float32. All coefficients are positive, so nothing cancels.
 */
const ERF_NUMERATOR = [1.12837915, 0.187225784, 0.0524100528, 0.00364980513, 0.000285984571, 2.12526444e-6];
const ERF_DENOMINATOR = [1, 0.499257439, 0.112868583, 0.0147366006, 0.00114118567, 3.89222937e-5];

/** Coefficients from the lowest power on. */
function polynomial(w: FunctionWriter, x: Tensor, coefficients: readonly number[]): Tensor {
  const [last, ...rest] = [...coefficients].reverse();
  return rest.reduce((sum, c) => w.add(w.multiply(sum, x), c), w.scalar(x.dtype, last, x.shape));
}

function clamp(w: FunctionWriter, x: Tensor, limit: number): Tensor {
  return w.binary('minimum', w.binary('maximum', x, w.scalar('f32', -limit)), w.scalar('f32', limit));
}

export function erf(w: FunctionWriter, x: Tensor): Tensor {
  const inner = clamp(w, x, ERF_LIMIT);
  const square = w.multiply(inner, inner);
  const numerator = w.multiply(inner, polynomial(w, square, ERF_NUMERATOR));
  return clamp(w, w.divide(numerator, polynomial(w, square, ERF_DENOMINATOR)), 1);
}

export function tan(w: FunctionWriter, x: Tensor): Tensor {
  return w.divide(w.unary('sine', x), w.unary('cosine', x));
}

/** sqrt(1 - x^2) without cancellation near 1 */
function complement(w: FunctionWriter, x: Tensor): Tensor {
  const one = w.scalar('f32', 1, x.shape);
  return w.unary('sqrt', w.multiply(w.subtract(one, x), w.add(one, x)));
}

export function asin(w: FunctionWriter, x: Tensor): Tensor {
  return w.binary('atan2', x, complement(w, x));
}

export function acos(w: FunctionWriter, x: Tensor): Tensor {
  return w.binary('atan2', complement(w, x), x);
}

export function atan(w: FunctionWriter, x: Tensor): Tensor {
  return w.binary('atan2', x, w.scalar('f32', 1));
}

/** (e^x - e^-x) / 2: from e^x - 1 = m where small, as (m + m / (m + 1)) / 2; from e^(x - ln 2) where e^x may overflow. */
export function sinh(w: FunctionWriter, x: Tensor): Tensor {
  const m = w.unary('exponential_minus_one', x);
  const near = w.multiply(w.add(m, w.divide(m, w.add(m, 1))), 0.5);
  const far = w.subtract(
    w.unary('exponential', w.subtract(x, LN2)),
    w.unary('exponential', w.subtract(w.unary('negate', x), LN2)),
  );
  return w.select(w.compare('LT', w.unary('abs', x), 1), near, far);
}

export function cosh(w: FunctionWriter, x: Tensor): Tensor {
  const size = w.unary('abs', x);
  return w.add(
    w.unary('exponential', w.subtract(size, LN2)),
    w.unary('exponential', w.subtract(w.unary('negate', size), LN2)),
  );
}

/** From here on 1 + x^2 is x^2 in float32; squares overflow much later. */
const LARGE = 1e6;

/** log(x + sqrt(x^2 + 1)) of |x|, as log1p(x + x^2 / (1 + sqrt(x^2 + 1))); log(2x) where large. */
export function asinh(w: FunctionWriter, x: Tensor): Tensor {
  const size = w.unary('abs', x);
  const square = w.multiply(size, size);
  const root = w.unary('sqrt', w.add(square, 1));
  const near = w.unary('log_plus_one', w.add(size, w.divide(square, w.add(root, 1))));
  const far = w.add(w.unary('log', size), LN2);
  const found = w.select(w.compare('GT', size, LARGE), far, near);
  return w.select(w.compare('LT', x, 0), w.unary('negate', found), found);
}

/** log(x + sqrt(x^2 - 1)) with t = x - 1 as log1p(t + sqrt(t (t + 2))); log(2x) where large. */
export function acosh(w: FunctionWriter, x: Tensor): Tensor {
  const t = w.subtract(x, 1);
  const root = w.unary('sqrt', w.multiply(t, w.add(t, 2)));
  const near = w.unary('log_plus_one', w.add(t, root));
  return w.select(w.compare('GT', x, LARGE), w.add(w.unary('log', x), LN2), near);
}

export function atanh(w: FunctionWriter, x: Tensor): Tensor {
  const difference = w.subtract(w.unary('log_plus_one', x), w.unary('log_plus_one', w.unary('negate', x)));
  return w.multiply(difference, 0.5);
}
