import { numberOf } from '@selfsup/compile';
import { softmax } from './normalization.js';
import type { EmitOperation } from './operation.js';
import { matrixProduct } from './product.js';
import type { FunctionWriter, Tensor } from './writer.js';

/** All products of attention may be rounded. */
const product: typeof matrixProduct = (w, a, b, how) => matrixProduct(w, a, b, { ...how, precision: w.precision });

/** softmax(scale q kT), [B, H, N, M]; the scale goes to q, which is the smaller. */
function attentionWeights(w: FunctionWriter, q: Tensor, k: Tensor, scale: number): Tensor {
  return softmax(w, product(w, w.multiply(q, scale), k, { transposeB: true }));
}

const attention: EmitOperation = (w, { attrs, inputs: [q, k, v] }) => [
  product(w, attentionWeights(w, q, k, numberOf(attrs, 'scale')), v),
];

/**
 * The weights are computed again: keeping [B, H, N, N] of every block costs more memory than all else together. Row
 * sums of dweights * weights are taken on the narrow side, as sums of do * o.
 */
const attentionGrad: EmitOperation = (w, { attrs, inputs: [grad, query, key, v, o] }) => {
  const scale = numberOf(attrs, 'scale');
  const [q, k, dout] = w.barrier([query, key, grad]);
  const weights = attentionWeights(w, q, k, scale);
  const dv = product(w, weights, dout, { transposeA: true });
  const dweights = product(w, dout, v, { transposeB: true });
  const along = w.reduce('sum', w.multiply(dout, o), [3], true);
  const dscores = w.multiply(w.subtract(dweights, along), weights);
  const dq = w.multiply(product(w, dscores, k), scale);
  const dk = w.multiply(product(w, dscores, q, { transposeA: true }), scale);
  return [dq, dk, dv];
};

/** Attention and its gradient. */
export const ATTENTION = { attention, attention_grad: attentionGrad } satisfies Record<string, EmitOperation>;
