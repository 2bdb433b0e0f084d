import { formatShape, sameShape, sizeOf } from '@selfsup/core';
import { convolutionGeometry, flagOf, numberOf, numbersOf, windowGeometry, type Attributes } from './attributes.js';
import type { Composite, Node, Primitive } from './graph.js';

type Shape = readonly number[];

/**
 * Shapes of the outputs, or a sentence on what was expected of the inputs. `asked` are the shapes the node states
 * itself; they decide where they are free (reshape, broadcast_in_dim, iota, gradients of convolutions, resizing).
 */
type ShapeRule = (inputs: readonly Shape[], attrs: Attributes, asked: readonly Shape[]) => readonly Shape[] | string;

/** Shape of two arrays broadcast against each other as numpy does; undefined when they do not fit. */
export function broadcastShapes(a: Shape, b: Shape): number[] | undefined {
  const rank = Math.max(a.length, b.length);
  const shape: number[] = [];
  for (let i = 0; i < rank; i++) {
    const m = a[a.length - rank + i] ?? 1;
    const n = b[b.length - rank + i] ?? 1;
    if (m !== n && m !== 1 && n !== 1) return undefined;
    shape.push(m === 1 ? n : m);
  }
  return shape;
}

/** Shape of a reduction over some dimensions. */
export function reducedShape(shape: Shape, dimensions: Shape, keepDims: boolean): number[] {
  return shape.flatMap((d, i) => (dimensions.includes(i) ? (keepDims ? [1] : []) : [d]));
}

const isAxis = (axis: number, shape: Shape): boolean => Number.isInteger(axis) && axis >= 0 && axis < shape.length;

const elementwise: ShapeRule = (inputs) => {
  let shape: Shape | undefined = [];
  for (const input of inputs) shape = shape && broadcastShapes(shape, input);
  return shape === undefined ? 'shapes that broadcast against each other' : [shape];
};

const axisRemoved: ShapeRule = ([x], attrs) => {
  const axis = numberOf(attrs, 'dimension');
  return isAxis(axis, x) ? [reducedShape(x, [axis], false)] : 'a dimension of the input';
};

/** Places a window of (dilated) `size` takes along one dimension. */
function windowCount(length: number, size: number, dilation: number, stride: number, before: number, after: number) {
  return Math.floor((length + before + after - (dilation * (size - 1) + 1)) / stride) + 1;
}

/** Output shape of a convolution of x (NHWC) with a filter (HWIO); a sentence when they do not fit. */
function convolved(x: Shape, w: Shape, attrs: Attributes): Shape | string {
  const { strides, dilations, padding, groups } = convolutionGeometry(attrs);
  if (x.length !== 4 || w.length !== 4) return 'x [N, H, W, C] and w [h, w, C / groups, O]';
  if (strides.length !== 2 || dilations.length !== 2 || padding.length !== 4) {
    return 'two strides, two dilations and four paddings';
  }
  if (x[3] !== w[2] * groups || w[3] % groups !== 0) return `channels that fit w and groups ${groups}`;
  const h = windowCount(x[1], w[0], dilations[0], strides[0], padding[0], padding[1]);
  const width = windowCount(x[2], w[1], dilations[1], strides[1], padding[2], padding[3]);
  return h < 1 || width < 1 ? 'a window no larger than the padded input' : [x[0], h, width, w[3]];
}

function pooled(x: Shape, attrs: Attributes): Shape | string {
  const { window, strides, padding } = windowGeometry(attrs);
  if (x.length !== 4 || window.length !== 2 || strides.length !== 2 || padding.length !== 4) {
    return 'x [N, H, W, C], two window sizes, two strides and four paddings';
  }
  const h = windowCount(x[1], window[0], 1, strides[0], padding[0], padding[1]);
  const w = windowCount(x[2], window[1], 1, strides[1], padding[2], padding[3]);
  return h < 1 || w < 1 ? 'a window no larger than the padded input' : [x[0], h, w, x[3]];
}

/** Passes `asked` when `found` is the shape that it needs to be. */
const asAskedIf = (found: Shape | string, wanted: Shape, asked: readonly Shape[], what: string) =>
  typeof found === 'string' ? found : sameShape(found, wanted) ? asked : `${what} of shape ${formatShape(found)}`;

const resized: ShapeRule = ([x], _, asked) =>
  x.length === 4 && asked[0].length === 4 && x[0] === asked[0][0] && x[3] === asked[0][3]
    ? asked
    : 'x [N, H, W, C] and an output of the same N and C';

const gradLikeSecond: ShapeRule = ([dy, x]) => (sameShape(dy, x) ? [x] : 'inputs of one shape');

const attentionRule: ShapeRule = ([q, k, v]) =>
  q.length === 4 &&
  k.length === 4 &&
  v.length === 4 &&
  sameShape(q.slice(0, 2), k.slice(0, 2)) &&
  sameShape(k.slice(0, 3), v.slice(0, 3)) &&
  q[3] === k[3]
    ? [[...q.slice(0, 3), v[3]]]
    : 'q [B, H, N, d], k [B, H, M, d] and v [B, H, M, e]';

const special = {
  reshape: ([x], _, asked) => (sizeOf(x) === sizeOf(asked[0]) ? asked : 'as many elements as the output'),
  broadcast_in_dim: ([x], _, asked) => {
    const shape = broadcastShapes(x, asked[0]);
    return shape !== undefined && sameShape(shape, asked[0]) ? asked : 'a shape that broadcasts to the output';
  },
  iota: (_, __, asked) => (asked[0].length === 1 ? asked : 'an output of rank 1'),
  transpose: ([x], attrs) => {
    const permutation = numbersOf(attrs, 'permutation');
    const valid = permutation.length === x.length && x.every((_, i) => permutation.includes(i));
    return valid ? [permutation.map((p) => x[p])] : 'a permutation of all dimensions';
  },
  slice: ([x], attrs) => {
    const [start, limit, strides] = ['start', 'limit', 'strides'].map((name) => numbersOf(attrs, name));
    const valid =
      start.length === x.length &&
      limit.length === x.length &&
      strides.length === x.length &&
      x.every((d, i) => start[i] >= 0 && limit[i] >= start[i] && limit[i] <= d && strides[i] >= 1);
    return valid
      ? [x.map((_, i) => Math.ceil((limit[i] - start[i]) / strides[i]))]
      : 'start <= limit within the shape and positive strides';
  },
  pad: ([x], attrs) => {
    const low = numbersOf(attrs, 'low');
    const high = numbersOf(attrs, 'high');
    const valid = low.length === x.length && high.length === x.length && [...low, ...high].every((p) => p >= 0);
    return valid ? [x.map((d, i) => d + low[i] + high[i])] : 'paddings >= 0 for every dimension';
  },
  concatenate: (inputs, attrs) => {
    const axis = numberOf(attrs, 'dimension');
    const others = (s: Shape): number[] => s.filter((_, i) => i !== axis);
    const valid = isAxis(axis, inputs[0]) && inputs.every((s) => sameShape(others(s), others(inputs[0])));
    return valid
      ? [inputs[0].map((d, i) => (i === axis ? inputs.reduce((sum, s) => sum + s[axis], 0) : d))]
      : 'inputs that agree in all but the dimension';
  },
  reverse: ([x], attrs) =>
    numbersOf(attrs, 'dimensions').every((d) => isAxis(d, x)) ? [x] : 'dimensions of the input',
  dot_general: ([a, b], attrs) => {
    if (a.length < 2 || b.length < 2) return 'two arrays of rank 2 or more';
    const [m, k] = flagOf(attrs, 'transposeA') ? [a[a.length - 1], a[a.length - 2]] : a.slice(-2);
    const [l, n] = flagOf(attrs, 'transposeB') ? [b[b.length - 1], b[b.length - 2]] : b.slice(-2);
    const batch = broadcastShapes(a.slice(0, -2), b.slice(0, -2));
    return batch !== undefined && k === l ? [[...batch, m, n]] : '[..., M, K] and [..., K, N]';
  },
  reduce: ([x], attrs) => {
    const dimensions = numbersOf(attrs, 'dimensions');
    return dimensions.every((d) => isAxis(d, x)) && new Set(dimensions).size === dimensions.length
      ? [reducedShape(x, dimensions, flagOf(attrs, 'keepDims'))]
      : 'different dimensions of the input';
  },
  argmax: axisRemoved,
  argmin: axisRemoved,
  cumsum: ([x], attrs) => (isAxis(numberOf(attrs, 'dimension'), x) ? [x] : 'a dimension of the input'),
  gather: ([x, indices], attrs) => {
    const axis = numberOf(attrs, 'dimension');
    return isAxis(axis, x) ? [[...x.slice(0, axis), ...indices, ...x.slice(axis + 1)]] : 'a dimension of x';
  },
  scatter_add: ([indices, updates], attrs) =>
    indices.length === 1 && updates.length >= 1 && indices[0] === updates[0]
      ? [[numberOf(attrs, 'rows'), ...updates.slice(1)]]
      : 'indices [n] and updates [n, ...]',
  one_hot: ([indices], attrs) => [[...indices, numberOf(attrs, 'depth')]],
  convolution: ([x, w], attrs) => {
    const shape = convolved(x, w, attrs);
    return typeof shape === 'string' ? shape : [shape];
  },
  convolution_input_grad: ([dy, w], attrs, asked) => asAskedIf(convolved(asked[0], w, attrs), dy, asked, 'dy'),
  convolution_filter_grad: ([x, dy], attrs, asked) => asAskedIf(convolved(x, asked[0], attrs), dy, asked, 'dy'),
  reduce_window: ([x], attrs) => {
    const shape = pooled(x, attrs);
    return typeof shape === 'string' ? shape : [shape];
  },
  reduce_window_grad: ([dy, x], attrs) => asAskedIf(pooled(x, attrs), dy, [x], 'dy'),
  resize_bilinear: resized,
  resize_nearest: resized,
  softmax_grad: gradLikeSecond,
  gelu_grad: gradLikeSecond,
  layer_norm: ([x, weight, bias]) => {
    const width = x.slice(-1);
    return x.length > 0 && sameShape(weight, width) && sameShape(bias, width)
      ? [x, [...x.slice(0, -1), 1], [...x.slice(0, -1), 1]]
      : 'x [..., D], weight [D] and bias [D]';
  },
  layer_norm_grad: ([dy, x, weight, mean, rstd]) => {
    const statistics = [...x.slice(0, -1), 1];
    const valid =
      sameShape(dy, x) && sameShape(weight, x.slice(-1)) && [mean, rstd].every((s) => sameShape(s, statistics));
    return valid ? [x, weight, weight] : 'dy and x [..., D], weight [D], mean and rstd [..., 1]';
  },
  attention: attentionRule,
  attention_grad: ([dout, q, k, v, out], attrs, asked) => {
    const found = attentionRule([q, k, v], attrs, asked);
    if (typeof found === 'string') return found;
    return sameShape(found[0], dout) && sameShape(found[0], out) ? [q, k, v] : `do and o ${formatShape(found[0])}`;
  },
  cholesky: ([a]) => (a.length >= 2 && a[a.length - 1] === a[a.length - 2] ? [a] : 'square matrices [..., N, N]'),
  triangular_solve: ([a, b]) => {
    const n = a[a.length - 1];
    const valid = a.length >= 2 && a.length === b.length && a[a.length - 2] === n && b[b.length - 2] === n;
    return valid && sameShape(a.slice(0, -2), b.slice(0, -2)) ? [b] : 'a [..., N, N] and b [..., N, M]';
  },
  top_k: ([x], attrs) => {
    const k = numberOf(attrs, 'k');
    const valid = x.length >= 1 && k >= 1 && k <= x[x.length - 1];
    const shape = [...x.slice(0, -1), k];
    return valid ? [shape, shape] : 'a last dimension of at least k';
  },
} satisfies Partial<Record<Primitive | Composite, ShapeRule>>;

const RULES: Readonly<Record<string, ShapeRule>> = special;

/**
 * Shapes of a node's outputs as they follow from its inputs and attributes; operations not listed are element-wise and
 * broadcast. Returns a sentence on what was expected when the inputs do not fit.
 *
 * @param asked - the output shapes the node states, taken where they are free (reshape, broadcast_in_dim, iota,
 *   gradients of convolutions, resizing)
 */
export function inferShapes(
  node: Pick<Node, 'op' | 'attrs'>,
  inputs: readonly Shape[],
  asked: readonly Shape[],
): readonly Shape[] | string {
  return (RULES[node.op] ?? elementwise)(inputs, node.attrs, asked);
}
