import { numberOf } from '@selfsup/compile';
import { erf } from './functions.js';
import type { EmitOperation } from './operation.js';
import { range, type FunctionWriter, type Tensor } from './writer.js';

const lastOf = (x: Tensor): number => x.shape.length - 1;

function rowSum(w: FunctionWriter, x: Tensor): Tensor {
  return w.reduce('sum', x, [lastOf(x)], true);
}

function rowMean(w: FunctionWriter, x: Tensor): Tensor {
  return w.multiply(rowSum(w, x), 1 / x.shape[lastOf(x)]);
}

export function softmax(w: FunctionWriter, x: Tensor): Tensor {
  const largest = w.reduce('max', x, [lastOf(x)], true);
  const e = w.unary('exponential', w.subtract(x, largest));
  return w.divide(e, rowSum(w, e));
}

const softmaxGrad: EmitOperation = (w, { inputs: [dy, y] }) => {
  const along = rowSum(w, w.multiply(dy, y));
  return [w.multiply(w.subtract(dy, along), y)];
};

/** Distribution function of the standard normal. */
function normalCdf(w: FunctionWriter, x: Tensor): Tensor {
  return w.multiply(w.add(erf(w, w.multiply(x, Math.SQRT1_2)), 1), 0.5);
}

/** dy (Phi(x) + x phi(x)), all of it from x: keeping Phi of the forward part would cost as much memory as x. */
const geluGrad: EmitOperation = (w, { inputs: [grad, input] }) => {
  const [x, dy] = w.barrier([input, grad]);
  const bell = w.unary('exponential', w.multiply(w.multiply(x, x), -0.5));
  const density = w.multiply(w.multiply(bell, x), 1 / Math.sqrt(2 * Math.PI));
  return [w.multiply(dy, w.add(normalCdf(w, x), density))];
};

const layerNorm: EmitOperation = (w, { attrs, inputs: [x, weight, bias] }) => {
  const mean = rowMean(w, x);
  const centered = w.subtract(x, mean);
  const variance = rowMean(w, w.multiply(centered, centered));
  const rstd = w.unary('rsqrt', w.add(variance, numberOf(attrs, 'epsilon')));
  return [w.add(w.multiply(w.multiply(centered, rstd), weight), bias), mean, rstd];
};

/** With unit = (x - mean) rstd and g = dy weight: dx = rstd (g - mean(g) - unit mean(g unit)). */
const layerNormGrad: EmitOperation = (w, { inputs: [grad, input, weight, mean, rstd] }) => {
  const [x, dy] = w.barrier([input, grad]);
  const unit = w.multiply(w.subtract(x, mean), rstd);
  const rows = range(lastOf(x));
  const g = w.multiply(dy, weight);
  const along = w.multiply(unit, rowMean(w, w.multiply(g, unit)));
  const dx = w.multiply(w.subtract(w.subtract(g, rowMean(w, g)), along), rstd);
  return [dx, w.reduce('sum', w.multiply(dy, unit), rows), w.reduce('sum', dy, rows)];
};

/** Softmax, gelu, layer norm and their gradients. */
export const NORMALIZATION = {
  softmax: (w, { inputs: [x] }) => [softmax(w, x)],
  softmax_grad: softmaxGrad,
  gelu: (w, { inputs: [x] }) => [w.multiply(x, normalCdf(w, x))],
  gelu_grad: geluGrad,
  layer_norm: layerNorm,
  layer_norm_grad: layerNormGrad,
} satisfies Record<string, EmitOperation>;
