import * as tf from '@tensorflow/tfjs-core';
import type { GraphWriter, KernelCall, KernelRule, Traced } from '../kernel-context.js';

type Pair = [number, number];
type Shape4 = [number, number, number, number];
const pair = (v: unknown): Pair => (typeof v === 'number' ? [v, v] : ([...(v as number[])] as Pair));

interface Geometry {
  readonly strides: Pair;
  readonly dilations: Pair;
  /** top, bottom, left, right */
  readonly padding: [number, number, number, number];
  readonly groups: number;
}

function geometry(
  g: GraphWriter,
  c: KernelCall,
  input: Shape4,
  filter: Shape4,
  depthwise: boolean,
): Geometry & { out: Shape4 } {
  if (c.attrs['dataFormat'] === 'NCHW') g.unsupported(c, 'dataFormat NCHW', 'use NHWC');
  const strides = pair(c.attrs['strides']);
  const dilations = pair(c.attrs['dilations'] ?? 1);
  const info = tf.backend_util.computeConv2DInfo(
    input,
    filter,
    strides,
    dilations,
    c.attrs['pad'] as 'same' | 'valid' | number,
    c.attrs['dimRoundingMode'] as 'floor' | 'round' | 'ceil' | undefined,
    depthwise,
  );
  const p = info.padInfo;
  return {
    strides,
    dilations,
    padding: [p.top, p.bottom, p.left, p.right],
    groups: depthwise ? input[3] : 1,
    out: info.outShape as Shape4,
  };
}

const attrsOf = ({ strides, dilations, padding, groups }: Geometry): Record<string, number | number[]> => ({
  strides,
  dilations,
  padding,
  groups,
});

/** Depthwise filters [H, W, C, M] are grouped filters [H, W, 1, C*M] with C groups. */
const grouped = (g: GraphWriter, w: Traced): Traced =>
  g.reshape(w, [w.shape[0], w.shape[1], 1, w.shape[2] * w.shape[3]]);

const convolution =
  (depthwise: boolean): KernelRule =>
  (g, c) => {
    const [x, w] = [g.convert(c.in('x'), 'f32'), c.in('filter')];
    const geo = geometry(g, c, x.shape as Shape4, w.shape as Shape4, depthwise);
    return g.emit('convolution', [x, depthwise ? grouped(g, w) : w], geo.out, 'f32', attrsOf(geo));
  };

const inputGrad =
  (depthwise: boolean): KernelRule =>
  (g, c) => {
    const [dy, w] = [c.in('dy'), c.in('filter')];
    const shape = c.attrs['inputShape'] as Shape4;
    const geo = geometry(g, c, shape, w.shape as Shape4, depthwise);
    return g.emit('convolution_input_grad', [dy, depthwise ? grouped(g, w) : w], shape, 'f32', attrsOf(geo));
  };

const filterGrad =
  (depthwise: boolean): KernelRule =>
  (g, c) => {
    const [x, dy] = [c.in('x'), c.in('dy')];
    const shape = c.attrs['filterShape'] as Shape4;
    const geo = geometry(g, c, x.shape as Shape4, shape, depthwise);
    const whole: Shape4 = depthwise ? [shape[0], shape[1], 1, shape[2] * shape[3]] : shape;
    return g.reshape(g.emit('convolution_filter_grad', [x, dy], whole, 'f32', attrsOf(geo)), shape);
  };

interface Window {
  readonly window: Pair;
  readonly strides: Pair;
  readonly padding: [number, number, number, number];
  readonly out: Shape4;
}

function windowOf(c: KernelCall, shape: Shape4): Window {
  const window = pair(c.attrs['filterSize']);
  const strides = pair(c.attrs['strides']);
  const info = tf.backend_util.computePool2DInfo(
    shape,
    window,
    strides,
    1,
    c.attrs['pad'] as 'same' | 'valid' | number,
    c.attrs['dimRoundingMode'] as 'floor' | 'round' | 'ceil' | undefined,
  );
  const p = info.padInfo;
  return { window, strides, padding: [p.top, p.bottom, p.left, p.right], out: info.outShape as Shape4 };
}

/** How many real pixels each window covers: averages leave the padding out. */
function coverage(g: GraphWriter, shape: Shape4, w: Window): Traced {
  const counts = new Float32Array(w.out[1] * w.out[2]);
  const inside = (at: number, size: number, limit: number): number => Math.min(at + size, limit) - Math.max(at, 0);
  for (let i = 0; i < w.out[1]; i++) {
    for (let j = 0; j < w.out[2]; j++) {
      const rows = inside(i * w.strides[0] - w.padding[0], w.window[0], shape[1]);
      counts[i * w.out[2] + j] = rows * inside(j * w.strides[1] - w.padding[2], w.window[1], shape[2]);
    }
  }
  return g.constant(counts, [1, w.out[1], w.out[2], 1], 'f32');
}

const poolAttrs = (kind: 'max' | 'sum', w: Window): Record<string, string | number[]> => ({
  kind,
  window: w.window,
  strides: w.strides,
  padding: w.padding,
});

function maxPool(g: GraphWriter, c: KernelCall): Traced {
  const x = c.in('x');
  const w = windowOf(c, x.shape as Shape4);
  return g.emit('reduce_window', [x], w.out, 'f32', poolAttrs('max', w));
}

function maxPoolGrad(g: GraphWriter, c: KernelCall): Traced {
  const x = c.in('input');
  const w = windowOf(c, x.shape as Shape4);
  return g.emit('reduce_window_grad', [c.in('dy'), x], x.shape, 'f32', poolAttrs('max', w));
}

function avgPool(g: GraphWriter, c: KernelCall): Traced {
  const x = c.in('x');
  const w = windowOf(c, x.shape as Shape4);
  const sum = g.emit('reduce_window', [x], w.out, 'f32', poolAttrs('sum', w));
  return g.binary('divide', sum, coverage(g, x.shape as Shape4, w));
}

function avgPoolGrad(g: GraphWriter, c: KernelCall): Traced {
  const x = c.in('input');
  const w = windowOf(c, x.shape as Shape4);
  const share = g.binary('divide', c.in('dy'), coverage(g, x.shape as Shape4, w));
  return g.emit('reduce_window_grad', [share, x], x.shape, 'f32', poolAttrs('sum', w));
}

const resize =
  (op: 'resize_bilinear' | 'resize_nearest'): KernelRule =>
  (g, c) => {
    const x = g.convert(c.in('images'), 'f32');
    const size = c.attrs['size'] as Pair;
    const attrs = {
      alignCorners: c.attrs['alignCorners'] === true,
      halfPixelCenters: c.attrs['halfPixelCenters'] === true,
    };
    return g.emit(op, [x], [x.shape[0], size[0], size[1], x.shape[3]], 'f32', attrs);
  };

/** FusedBatchNorm of tfjs: (x - mean) * scale / sqrt(variance + eps) + offset. */
function batchNorm(g: GraphWriter, c: KernelCall): Traced {
  const eps = g.scalar((c.attrs['varianceEpsilon'] as number | undefined) ?? 0.001);
  const inverse = g.unary('rsqrt', g.binary('add', c.in('variance'), eps));
  const factor = c.has('scale') ? g.binary('multiply', inverse, c.in('scale')) : inverse;
  const y = g.binary('multiply', g.binary('subtract', c.in('x'), c.in('mean')), factor);
  return c.has('offset') ? g.binary('add', y, c.in('offset')) : y;
}

/** Convolutions, pooling, resizing, batch normalisation (all NHWC). */
export const CONVOLUTION: Readonly<Record<string, KernelRule>> = {
  Conv2D: convolution(false),
  Conv2DBackpropInput: inputGrad(false),
  Conv2DBackpropFilter: filterGrad(false),
  DepthwiseConv2dNative: convolution(true),
  DepthwiseConv2dNativeBackpropInput: inputGrad(true),
  DepthwiseConv2dNativeBackpropFilter: filterGrad(true),
  MaxPool: maxPool,
  MaxPoolGrad: maxPoolGrad,
  AvgPool: avgPool,
  AvgPoolGrad: avgPoolGrad,
  ResizeBilinear: resize('resize_bilinear'),
  ResizeNearestNeighbor: resize('resize_nearest'),
  FusedBatchNorm: batchNorm,
};
