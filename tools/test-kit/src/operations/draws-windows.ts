import type { Op } from '@selfsup/compile';
import fc from 'fast-check';
import { integer, seed, type Draw } from './draw.js';
import { wave } from './operands.js';

/** Places a window takes along a padded side. */
const places = (size: number, window: number, dilation: number, stride: number, padding: readonly number[]): number =>
  Math.floor((size + padding[0] + padding[1] - dilation * (window - 1) - 1) / stride) + 1;

const pair = (min: number, max: number): fc.Arbitrary<[number, number]> =>
  fc.tuple(integer(min, max), integer(min, max));

interface ConvolutionShapes {
  readonly x: readonly number[];
  readonly w: readonly number[];
  readonly y: readonly number[];
  readonly attrs: Readonly<Record<string, number | readonly number[]>>;
}

/** Any strides, dilations, groups and uneven paddings; images large enough for the window. */
const convolution: fc.Arbitrary<ConvolutionShapes> = fc
  .tuple(
    pair(1, 3),
    pair(1, 3),
    pair(1, 2),
    fc.tuple(pair(0, 2), pair(0, 2)),
    pair(0, 5),
    integer(1, 2),
    fc.tuple(...[2, 3, 3].map((max) => integer(1, max))),
  )
  .map(([window, strides, dilations, padding, extra, groups, [batch, inner, outer]]) => {
    const size = extra.map((more, i) => dilations[i] * (window[i] - 1) + 1 + more);
    const out = size.map((d, i) => places(d, window[i], dilations[i], strides[i], padding[i]));
    return {
      x: [batch, ...size, groups * inner],
      w: [...window, inner, groups * outer],
      y: [batch, ...out, groups * outer],
      attrs: { strides, dilations, padding: padding.flat(), groups },
    };
  });

const convolutionCase = (op: Op, pick: (shapes: ConvolutionShapes) => [...inputs: (readonly number[])[]]): Draw =>
  fc.tuple(convolution, seed).map(([shapes, from]) => {
    const [a, b, out] = pick(shapes);
    return {
      op,
      inputs: [wave(a, -1, 1, from), wave(b, -1, 1, from + 1)],
      outputs: [[out]],
      attrs: shapes.attrs,
      maxRel: 3e-6,
    };
  });

/** Windows that overlap or leave gaps; paddings smaller than the window, so that each window covers something. */
const pooling = fc
  .tuple(
    pair(1, 3),
    pair(1, 3),
    fc.tuple(pair(0, 2), pair(0, 2)),
    pair(0, 5),
    integer(1, 2),
    integer(1, 3),
    fc.constantFrom('max', 'sum'),
  )
  .map(([window, strides, drawn, extra, batch, channels, kind]) => {
    const padding = drawn.map((sides, i) => sides.map((p) => Math.min(p, window[i] - 1)));
    const size = extra.map((more, i) => window[i] + more);
    const out = size.map((d, i) => places(d, window[i], 1, strides[i], padding[i]));
    return {
      x: [batch, ...size, channels],
      y: [batch, ...out, channels],
      attrs: { kind, window, strides, padding: padding.flat() },
    };
  });

const resizing = (op: Op): Draw =>
  fc
    .tuple(pair(1, 6), pair(1, 9), fc.constantFrom([false, false], [true, false], [false, true]), seed)
    .map(([from, to, [alignCorners, halfPixelCenters], start]) => ({
      op,
      inputs: [wave([2, ...from, 3], -1, 1, start)],
      outputs: [[[2, ...to, 3]]],
      attrs: { alignCorners, halfPixelCenters },
    }));

/** Convolution, pooling and resizing. */
export const CONVOLUTION_DRAWS = {
  convolution: convolutionCase('convolution', ({ x, w, y }) => [x, w, y]),
  convolution_input_grad: convolutionCase('convolution_input_grad', ({ x, w, y }) => [y, w, x]),
  convolution_filter_grad: convolutionCase('convolution_filter_grad', ({ x, w, y }) => [x, y, w]),
  reduce_window: fc.tuple(pooling, seed).map(([{ x, y, attrs }, from]) => ({
    op: 'reduce_window',
    inputs: [wave(x, -1, 1, from)],
    outputs: [[y]],
    attrs,
  })),
  reduce_window_grad: fc.tuple(pooling, seed).map(([{ x, y, attrs }, from]) => ({
    op: 'reduce_window_grad',
    inputs: [wave(y, -1, 1, from), wave(x, -1, 1, from + 1)],
    outputs: [[x]],
    attrs,
  })),
  resize_bilinear: resizing('resize_bilinear'),
  resize_nearest: resizing('resize_nearest'),
} satisfies Partial<Record<Op, Draw>>;
