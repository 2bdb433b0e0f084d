import type { Composite } from '../../graph/graph.js';
import type { GraphWriter, KernelCall, KernelRule, Traced } from '../kernel-context.js';
import { topK } from './linear-algebra.js';

const rows = (x: Traced): number[] => [...x.shape.slice(0, -1), 1];
const like = (x: Traced): { shape: readonly number[]; dtype: 'f32' } => ({ shape: x.shape, dtype: 'f32' });

const same =
  (op: Composite, ...names: string[]): KernelRule =>
  (g, c) => {
    const inputs = names.map((n) => c.in(n));
    return g.emit(op, inputs, inputs[0].shape, 'f32');
  };

function layerNorm(g: GraphWriter, c: KernelCall): Traced[] {
  const x = c.in('x');
  const stat = { shape: rows(x), dtype: 'f32' as const };
  return g.emitAll('layer_norm', [x, c.in('weight'), c.in('bias')], [like(x), stat, stat], {
    epsilon: c.attrs['epsilon'] as number,
  });
}

function layerNormGrad(g: GraphWriter, c: KernelCall): Traced[] {
  const inputs = ['dy', 'x', 'weight', 'mean', 'rstd'].map((n) => c.in(n));
  return g.emitAll('layer_norm_grad', inputs, [like(inputs[1]), like(inputs[2]), like(inputs[2])]);
}

function attention(g: GraphWriter, c: KernelCall): Traced {
  const [q, k, v] = [c.in('q'), c.in('k'), c.in('v')];
  return g.emit('attention', [q, k, v], [...q.shape.slice(0, -1), v.shape[v.shape.length - 1]], 'f32', {
    scale: c.attrs['scale'] as number,
  });
}

function attentionGrad(g: GraphWriter, c: KernelCall): Traced[] {
  const inputs = ['do', 'q', 'k', 'v', 'o'].map((n) => c.in(n));
  return g.emitAll('attention_grad', inputs, inputs.slice(1, 4).map(like), { scale: c.attrs['scale'] as number });
}

function triangularSolve(g: GraphWriter, c: KernelCall): Traced {
  const b = c.in('b');
  return g.emit('triangular_solve', [c.in('a'), b], b.shape, 'f32', { transpose: c.attrs['transpose'] === true });
}

/** Rules for the kernels of `@selfsup/ops` by composite: used only for engines that run the composite whole. */
export const COMPOSITE_RULES: Readonly<Record<Composite, KernelRule>> = {
  softmax: same('softmax', 'x'),
  softmax_grad: same('softmax_grad', 'dy', 'y'),
  gelu: same('gelu', 'x'),
  gelu_grad: same('gelu_grad', 'dy', 'x'),
  layer_norm: layerNorm,
  layer_norm_grad: layerNormGrad,
  attention,
  attention_grad: attentionGrad,
  cholesky: same('cholesky', 'a'),
  triangular_solve: triangularSolve,
  top_k: topK,
};
