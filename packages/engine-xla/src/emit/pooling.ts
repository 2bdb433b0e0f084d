import { windowGeometry } from '@selfsup/compile';
import { unsupported, type EmitOperation, type NodeView } from './operation.js';
import { combination, comparison, region, scalarType } from './region.js';
import { REDUCERS, type FunctionWriter, type ReductionKind, type Tensor } from './writer.js';

const ones = (window: readonly number[]): number[] => window.map(() => 1);

/** Windows over all dimensions of an array. */
interface Windows {
  readonly window: readonly number[];
  readonly strides?: readonly number[];
  readonly low: readonly number[];
  readonly high: readonly number[];
}

function windowAttributes({ window, low, high, strides = ones(window) }: Windows): string {
  const padding = low.map((before, i) => `[${before}, ${high[i]}]`).join(', ');
  return [
    `{window_dimensions = array<i64: ${window.join(', ')}>`,
    `window_strides = array<i64: ${strides.join(', ')}>`,
    `padding = dense<[${padding}]> : tensor<${low.length}x2xi64>}`,
  ].join(', ');
}

/** Reduction of the elements under a window at each of its places; padding counts as what the reduction starts from. */
export function slidingReduction(w: FunctionWriter, kind: ReductionKind, x: Tensor, windows: Windows): Tensor {
  const { window, low, high, strides = ones(window) } = windows;
  const { start, op } = REDUCERS[kind];
  const init = w.scalar(x.dtype, start(x.dtype));
  const shape = x.shape.map((d, i) => Math.floor((d + low[i] + high[i] - window[i]) / strides[i]) + 1);
  const text = `"stablehlo.reduce_window"(${x.name}, ${init.name}) (${combination(op, x.dtype)}) ${windowAttributes(windows)}`;
  return w.line(text, [x, init], { shape, dtype: x.dtype });
}

/** Pooling of an NHWC image, its windows over all four dimensions. */
function poolingOf(node: NodeView): Windows & { readonly kind: 'max' | 'sum'; readonly strides: readonly number[] } {
  const { kind, window, strides, padding } = windowGeometry(node.attrs);
  if (kind !== 'max' && kind !== 'sum') throw unsupported(node, 'kind max or sum', kind);
  const [top, bottom, left, right] = padding;
  return {
    kind,
    window: [1, ...window, 1],
    strides: [1, ...strides, 1],
    low: [0, top, left, 0],
    high: [0, bottom, right, 0],
  };
}

const reduceWindow: EmitOperation = (w, node) => {
  const { kind, ...windows } = poolingOf(node);
  return [slidingReduction(w, kind, node.inputs[0], windows)];
};

/** max: handed to the first largest element; sum: every element gets the sum of the windows that cover it. */
const reduceWindowGrad: EmitOperation = (w, node) => {
  const [dy, x] = node.inputs;
  const { kind, window, strides, low, high } = poolingOf(node);
  if (kind === 'sum') {
    const before = window.map((size, i) => size - 1 - low[i]);
    const after = x.shape.map((d, i) => d + window[i] - 1 - before[i] - ((dy.shape[i] - 1) * strides[i] + 1));
    const interior = strides.map((s) => s - 1);
    const none = window.map(() => 0);
    return [slidingReduction(w, 'sum', w.pad(dy, 0, before, after, interior), { window, low: none, high: none })];
  }
  const value = scalarType(x.dtype);
  const isFirst = region(
    [
      ['a', value],
      ['b', value],
    ],
    [comparison('kept', 'GE', 'a', 'b', x.dtype)],
    [['kept', scalarType('bool')]],
  );
  const zero = w.scalar(x.dtype, 0);
  const regions = `${isFirst}, ${combination('add', x.dtype)}`;
  const text = `"stablehlo.select_and_scatter"(${x.name}, ${dy.name}, ${zero.name}) (${regions}) ${windowAttributes({ window, strides, low, high })}`;
  return [w.line(text, [x, dy, zero], x)];
};

/** Pooling of NHWC images. */
export const POOLING = { reduce_window: reduceWindow, reduce_window_grad: reduceWindowGrad } satisfies Record<
  string,
  EmitOperation
>;
