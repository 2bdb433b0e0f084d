import { numberOf } from './attributes.js';
import type { Emitter, EmitOperation } from './emitter.js';

/** softmax(scale q kT), [B, H, N, M] */
function attentionWeights(e: Emitter, q: string, k: string, scale: number): string {
  return e.op('Softmax', [e.product(q, k, { transB: true, alpha: scale })], { axis: -1 });
}

const attention: EmitOperation = (e, node) => {
  const [q, k, v] = node.inputs.map((value) => e.full(value.id));
  e.define(node.outputs[0], e.product(attentionWeights(e, q, k, numberOf(node, 'scale')), v));
};

/**
 * The weights are computed again: keeping [B, H, N, N] of every block costs more memory than all else together, and a
 * product this small costs little. Row sums of dweights * weights are taken on the narrow side, as sums of do * o.
 */
const attentionGrad: EmitOperation = (e, node) => {
  const [dout, q, k, v, o] = node.inputs.map((value) => e.full(value.id));
  const scale = numberOf(node, 'scale');
  const weights = attentionWeights(e, q, k, scale);
  const [dq, dk, dv] = node.outputs;
  e.define(dv, e.product(weights, dout, { transA: true }));
  const dweights = e.product(dout, v, { transB: true });
  const along = e.sum(e.op('Mul', [dout, o]), [3], true);
  const dscores = e.op('Mul', [e.op('Sub', [dweights, along]), weights]);
  e.define(dq, e.product(dscores, k, { alpha: scale }));
  e.define(dk, e.product(dscores, q, { transA: true, alpha: scale }));
};

/** Attention and its gradient. */
export const ATTENTION = { attention, attention_grad: attentionGrad } satisfies Record<string, EmitOperation>;
