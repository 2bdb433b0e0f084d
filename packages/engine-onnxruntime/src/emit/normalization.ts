import { sizeOf } from '@selfsup/core';
import { numberOf } from './attributes.js';
import type { Emitter, EmitOperation } from './emitter.js';
import { Float } from './model.js';

const softmax: EmitOperation = (e, { inputs: [x], outputs: [y] }) => {
  e.define(y, e.op('Softmax', [e.full(x.id)], { axis: -1 }));
};

/** y (dy - sum(dy y)) over the last axis. */
export function softmaxGradient(e: Emitter, dy: string, y: string, rank: number): string {
  const along = e.sum(e.op('Mul', [dy, y]), [rank - 1], true);
  return e.op('Mul', [e.op('Sub', [dy, along]), y]);
}

/** Added to the input of a gelu that has a gradient: only an exact zero changes, and zero divided by zero never occurs. */
const TINY = 1e-30;

const gelu: EmitOperation = (e, { inputs: [x], outputs: [y] }) => {
  const differentiated = e.consumers(x.id).some((node) => node.op === 'gelu_grad' && node.inputs[1] === x.id);
  if (!differentiated) {
    e.define(y, e.op('ms.Gelu', [e.full(x.id)]));
    return;
  }
  const nonzero = e.op('Add', [e.full(x.id), e.model.f32(TINY)]);
  // From here on everybody reads the changed input, so that the first one need not be kept.
  e.define(x, nonzero);
  e.define(y, e.op('ms.Gelu', [nonzero]));
};

/**
 * dy (Phi(x) + x phi(x)) in as few passes over memory as the operators allow. Where y = x Phi(x) of the forward part is
 * at hand (it is kept for the next layer's gradient anyway), Phi(x) is y / x; else it takes an error function.
 */
const geluGrad: EmitOperation = (e, { inputs, outputs: [dx] }) => {
  const [dy, x] = inputs.map((v) => e.full(v.id));
  const forward = e.consumers(inputs[1].id).findLast((node) => node.op === 'gelu' && e.isDefined(node.outputs[0]));
  const cdf =
    forward !== undefined
      ? e.op('Div', [e.full(forward.outputs[0]), x])
      : e.op('Mul', [
          e.op('Add', [e.op('Erf', [e.op('Mul', [x, e.model.f32(Math.SQRT1_2)])]), e.model.f32(1)]),
          e.model.f32(0.5),
        ]);
  const bell = e.op('Exp', [e.op('Mul', [e.op('Mul', [x, x]), e.model.f32(-0.5)])]);
  const density = e.op('Mul', [e.op('Mul', [bell, x]), e.model.f32(1 / Math.sqrt(2 * Math.PI))]);
  e.define(dx, e.op('Mul', [e.op('Add', [density, cdf]), dy]));
};

const layerNorm: EmitOperation = (e, node) => {
  const [x, weight, bias] = node.inputs.map((v) => e.full(v.id));
  const wanted = node.outputs.map((v, i) => i === 0 || e.consumers(v.id).length > 0 || e.isResult(v.id));
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
  const rows = sizeOf(x.shape) / width;
  const unit = e.op('Mul', [e.op('Sub', [xName, mean]), rstd]);
  const weighted = e.op('Mul', [dyName, unit]);
  e.define(dweight, e.sumOfRows(weighted, rows, width));
  e.define(dbias, e.sumOfRows(dyName, rows, width));
  const column = e.reshape(weightName, [width, 1]);
  const flat = [rows, width];
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
