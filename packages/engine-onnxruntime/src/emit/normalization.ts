import { sizeOf } from '@selfsup/core';
import { numberOf } from './attributes.js';
import type { Emitter, EmitOperation } from './emitter.js';
import { Float } from './model.js';
import { range } from './shape.js';

const softmax: EmitOperation = (e, { inputs: [x], outputs: [y] }) => {
  e.define(y, e.op('Softmax', [e.full(x.id)], { axis: -1 }));
};

/** y (dy - sum(dy y)) over the last axis. */
export function softmaxGradient(e: Emitter, dy: string, y: string, rank: number): string {
  const along = e.sum(e.op('Mul', [dy, y]), [rank - 1], true);
  return e.op('Mul', [e.op('Sub', [dy, along]), y]);
}

const gelu: EmitOperation = (e, { inputs: [x], outputs: [y] }) => {
  e.define(y, e.op('ms.Gelu', [e.full(x.id)]));
};

/**
 * dy (Phi(x) + x phi(x)) in as few passes over memory as the operators allow: with t = x / sqrt 2 it is
 * dy/2 (1 + erf t + 2/sqrt(pi) t exp(-t^2)).
 */
const geluGrad: EmitOperation = (e, { inputs, outputs: [dx] }) => {
  const [dy, x] = inputs.map((v) => e.full(v.id));
  const t = e.op('Mul', [x, e.model.f32(Math.SQRT1_2)]);
  const bell = e.op('Exp', [e.op('Neg', [e.op('Mul', [t, t])])]);
  const slope = e.op('Mul', [e.op('Mul', [bell, t]), e.model.f32(2 / Math.sqrt(Math.PI))]);
  const twice = e.op('Add', [e.op('Add', [slope, e.op('Erf', [t])]), e.model.f32(1)]);
  e.define(dx, e.op('Mul', [e.op('Mul', [twice, dy]), e.model.f32(0.5)]));
};

const layerNorm: EmitOperation = (e, node) => {
  const [x, weight, bias] = node.inputs.map((v) => e.full(v.id));
  const wanted = node.outputs.map(
    (v, i) => i === 0 || e.consumers(v.id).length > 0 || e.isResult(v.id),
  );
  const names = e.model.ops(
    'LayerNormalization',
    [x, weight, bias],
    { axis: -1, epsilon: new Float(numberOf(node, 'epsilon')) },
    wanted.slice(1).some(Boolean) ? [undefined, undefined, undefined] : [undefined],
  );
  names.forEach((name, i) => e.define(node.outputs[i], name));
};

/**
 * With unit = (x - mean) rstd: the row means of g = dy weight and of g unit are products of dy and of dy unit with the
 * weight, so g itself is needed once only.
 */
const layerNormGrad: EmitOperation = (e, node) => {
  const [, x, weight] = node.inputs;
  const [dx, dweight, dbias] = node.outputs;
  const [dyName, xName, weightName, mean, rstd] = node.inputs.map((v) => e.full(v.id));
  const width = weight.shape[0];
  const rows = range(x.shape.length - 1);
  const unit = e.op('Mul', [e.op('Sub', [xName, mean]), rstd]);
  const weighted = e.op('Mul', [dyName, unit]);
  e.define(dweight, e.sum(weighted, rows, false));
  e.define(dbias, e.sum(dyName, rows, false));
  const column = e.reshape(weightName, [width, 1]);
  const flat = [sizeOf(x.shape) / width, width];
  const rowMean = (name: string): string =>
    e.reshape(e.product(e.reshape(name, flat), column, { alpha: 1 / width }), [...x.shape.slice(0, -1), 1]);
  const along = e.op('Mul', [unit, rowMean(weighted)]);
  const g = e.op('Sub', [e.op('Mul', [dyName, weightName]), rowMean(dyName)]);
  e.define(dx, e.op('Mul', [e.op('Sub', [g, along]), rstd]));
};

/** Softmax, gelu, layer norm and their gradients. */
export const NORMALIZATION = {
  softmax,
  softmax_grad: (e, { inputs: [dy, y], outputs: [dx] }) => {
    e.define(dx, softmaxGradient(e, e.full(dy.id), e.full(y.id), y.shape.length));
  },
  gelu,
  gelu_grad: geluGrad,
  layer_norm: layerNorm,
  layer_norm_grad: layerNormGrad,
} satisfies Record<string, EmitOperation>;
