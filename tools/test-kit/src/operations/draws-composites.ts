import type { Op } from '@selfsup/compile';
import fc from 'fast-check';
import { integer, seed, shape, unary, type Draw } from './draw.js';
import { wave, type Out } from './operands.js';

const softmaxGrad: Draw = fc.tuple(shape({ min: 1 }), seed).map(([s, from]) => ({
  op: 'softmax_grad',
  inputs: [wave(s, -1, 1, from), wave(s, 0, 1, from + 1)],
  outputs: [[s]],
}));

const geluGrad: Draw = fc.tuple(shape(), seed).map(([s, from]) => ({
  op: 'gelu_grad',
  inputs: [wave(s, 0.5, 1, from), wave(s, -6, 6, from + 1)],
  outputs: [[s]],
  atol: 3e-7,
}));

const layerNorm: Draw = fc.tuple(shape({ min: 1 }), seed).map(([s, from]) => {
  const [width, rows] = [s.slice(-1), [...s.slice(0, -1), 1]];
  return {
    op: 'layer_norm',
    inputs: [wave(s, 1, 3, from), wave(width, 0.5, 1.5, from + 1), wave(width, -1, 1, from + 2)],
    outputs: [[s], [rows], [rows]],
    attrs: { epsilon: 1e-2 },
    maxRel: 1e-5,
  };
});

const layerNormGrad: Draw = fc.tuple(shape({ min: 1 }), seed).map(([s, from]) => {
  const [width, rows] = [s.slice(-1), [...s.slice(0, -1), 1]];
  const [dy, x] = [wave(s, -1, 1, from), wave(s, -2, 2, from + 1)];
  const statistics = [wave(rows, -0.1, 0.1, from + 3), wave(rows, 0.5, 2, from + 4)];
  return {
    op: 'layer_norm_grad',
    inputs: [dy, x, wave(width, 0.5, 1.5, from + 2), ...statistics],
    outputs: [[s], [width], [width]],
    maxRel: 5e-6,
  };
});

/** Batch, heads, queries, keys, widths of keys and of values. */
const attentionSizes = fc.tuple(...[3, 3, 9, 9, 5, 5].map((max) => integer(1, max)));

const attention: Draw = fc.tuple(attentionSizes, seed).map(([[b, h, n, m, d, e], from]) => ({
  op: 'attention',
  inputs: [wave([b, h, n, d], -1, 1, from), wave([b, h, m, d], -1, 1, from + 1), wave([b, h, m, e], -1, 1, from + 2)],
  outputs: [[[b, h, n, e]]],
  attrs: { scale: d ** -0.5 },
}));

const attentionGrad: Draw = fc.tuple(attentionSizes, seed).map(([[b, h, n, m, d, e], from]) => {
  const shapes = [
    [b, h, n, e],
    [b, h, n, d],
    [b, h, m, d],
    [b, h, m, e],
    [b, h, n, e],
  ];
  return {
    op: 'attention_grad',
    inputs: shapes.map((s, i) => wave(s, 0, 1, from + i)),
    outputs: shapes.slice(1, 4).map((s): Out => [s]),
    attrs: { scale: d ** -0.5 },
    maxRel: 5e-6,
  };
});

/** Random cases of the composites that networks are made of. */
export const COMPOSITE_DRAWS = {
  softmax: fc
    .tuple(shape({ min: 1 }), seed)
    .map(([s, from]) => ({ op: 'softmax', inputs: [wave(s, -4, 4, from)], outputs: [[s]] })),
  softmax_grad: softmaxGrad,
  gelu: unary('gelu', -6, 6).map((c) => ({ ...c, atol: 3e-7 })),
  gelu_grad: geluGrad,
  layer_norm: layerNorm,
  layer_norm_grad: layerNormGrad,
  attention,
  attention_grad: attentionGrad,
} satisfies Partial<Record<Op, Draw>>;
