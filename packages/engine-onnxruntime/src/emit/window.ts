import { sizeOf } from '@selfsup/core';
import { flagOf, numberOf, numbersOf, wordOf } from './attributes.js';
import { unsupported, type EmitOperation, type NodeView } from './emitter.js';
import { range, slice } from './shape.js';

const TO_CHANNELS_FIRST = [0, 3, 1, 2];
const TO_CHANNELS_LAST = [0, 2, 3, 1];
/** [h, w, I, O] -> [O, I, h, w] */
const TO_FILTER_FIRST = [3, 2, 0, 1];

interface Geometry {
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** top, bottom, left, right */
  readonly padding: readonly number[];
  readonly groups: number;
}

function geometryOf(node: NodeView): Geometry {
  return {
    strides: numbersOf(node, 'strides'),
    dilations: numbersOf(node, 'dilations'),
    padding: numbersOf(node, 'padding'),
    groups: numberOf(node, 'groups'),
  };
}

/** ONNX lists the starts of all dimensions, then the ends. */
const onnxPads = ([top, bottom, left, right]: readonly number[]): number[] => [top, left, bottom, right];

const convolution: EmitOperation = (e, node) => {
  const [x, w] = node.inputs;
  const { strides, dilations, padding, groups } = geometryOf(node);
  const y = e.op('Conv', [e.transpose(e.full(x.id), TO_CHANNELS_FIRST), e.transpose(e.full(w.id), TO_FILTER_FIRST)], {
    strides,
    dilations,
    pads: onnxPads(padding),
    group: groups,
    kernel_shape: w.shape.slice(0, 2),
  });
  e.define(node.outputs[0], e.transpose(y, TO_CHANNELS_LAST));
};

/** Rows and columns of the image that no window reached; the transposed convolution has to be told of them. */
function leftOver(image: readonly number[], window: readonly number[], g: Omit<Geometry, 'groups'>): number[] {
  return range(2).map((i) => {
    const padded = image[i] + g.padding[2 * i] + g.padding[2 * i + 1];
    return (padded - (g.dilations[i] * (window[i] - 1) + 1)) % g.strides[i];
  });
}

const convolutionInputGrad: EmitOperation = (e, node) => {
  const [dy, w] = node.inputs;
  const [dx] = node.outputs;
  const geometry = geometryOf(node);
  const window = w.shape.slice(0, 2);
  const found = e.op(
    'ConvTranspose',
    [e.transpose(e.full(dy.id), TO_CHANNELS_FIRST), e.transpose(e.full(w.id), TO_FILTER_FIRST)],
    {
      strides: geometry.strides,
      dilations: geometry.dilations,
      pads: onnxPads(geometry.padding),
      output_padding: leftOver(dx.shape.slice(1, 3), window, geometry),
      group: geometry.groups,
      kernel_shape: window,
    },
  );
  e.define(dx, e.transpose(found, TO_CHANNELS_LAST));
};

/**
 * One product per place of the window: the pixels of x that it meets, times dy. As many nodes as the window has places,
 * but it is right for every stride, dilation and number of groups.
 */
const convolutionFilterGrad: EmitOperation = (e, node) => {
  const [x, dy] = node.inputs;
  const [dw] = node.outputs;
  const { strides, dilations, padding, groups } = geometryOf(node);
  const [height, width, perGroup, out] = dw.shape;
  const [batch, outHeight, outWidth] = dy.shape;
  const pixels = batch * outHeight * outWidth;
  const padded = [x.shape[0], x.shape[1] + padding[0] + padding[1], x.shape[2] + padding[2] + padding[3], x.shape[3]];
  const image = padding.every((p) => p === 0)
    ? e.full(x.id)
    : e.op('Pad', [
        e.full(x.id),
        e.model.i64([0, padding[0], padding[2], 0, 0, padding[1], padding[3], 0]),
        e.model.f32(0),
      ]);
  const grouped = (name: string, channels: number): string =>
    e.transpose(e.reshape(name, [pixels, groups, channels / groups]), [1, 0, 2]);
  const right = grouped(e.full(dy.id), out); // [G, pixels, O / G]
  const places = range(height * width).map((place) => {
    const start = [0, Math.floor(place / width) * dilations[0], (place % width) * dilations[1], 0];
    const limit = [
      padded[0],
      start[1] + (outHeight - 1) * strides[0] + 1,
      start[2] + (outWidth - 1) * strides[1] + 1,
      padded[3],
    ];
    const met = slice(e, image, padded, start, limit, [1, ...strides, 1]);
    const product = e.product(grouped(met, x.shape[3]), right, { transA: true }); // [G, I, O / G]
    return e.reshape(e.transpose(product, [1, 0, 2]), [1, perGroup, out]);
  });
  const all = places.length === 1 ? places[0] : e.op('Concat', places, { axis: 0 });
  e.define(dw, e.reshape(all, dw.shape));
};

interface Window {
  readonly kind: string;
  readonly size: readonly number[];
  readonly strides: readonly number[];
  readonly padding: readonly number[];
}

function windowOf(node: NodeView): Window {
  const kind = wordOf(node, 'kind');
  if (kind !== 'max' && kind !== 'sum') throw unsupported(node, 'kind max or sum', kind);
  return {
    kind,
    size: numbersOf(node, 'window'),
    strides: numbersOf(node, 'strides'),
    padding: numbersOf(node, 'padding'),
  };
}

const reduceWindow: EmitOperation = (e, node) => {
  const [x] = node.inputs;
  const { kind, size, strides, padding } = windowOf(node);
  const image = e.transpose(e.full(x.id), TO_CHANNELS_FIRST);
  const attrs = { kernel_shape: size, strides, pads: onnxPads(padding) };
  const pooled =
    kind === 'max'
      ? e.op('MaxPool', [image], attrs)
      : e.op('Mul', [e.op('AveragePool', [image], { ...attrs, count_include_pad: 1 }), e.model.f32(sizeOf(size))]);
  e.define(node.outputs[0], e.transpose(pooled, TO_CHANNELS_LAST));
};

/** max: added where the largest element was found; sum: a transposed convolution with ones, channel by channel. */
const reduceWindowGrad: EmitOperation = (e, node) => {
  const [dy, x] = node.inputs;
  const [dx] = node.outputs;
  const { kind, size, strides, padding } = windowOf(node);
  const [batch, height, width, channels] = x.shape;
  const grad = e.transpose(e.full(dy.id), TO_CHANNELS_FIRST);
  const attrs = { kernel_shape: size, strides, pads: onnxPads(padding) };
  if (kind === 'sum') {
    const ones = e.op('Expand', [e.model.f32(1), e.model.i64([channels, 1, ...size])]);
    const output_padding = leftOver([height, width], size, { strides, padding, dilations: [1, 1] });
    const found = e.op('ConvTranspose', [grad, ones], { ...attrs, output_padding, group: channels });
    e.define(dx, e.transpose(found, TO_CHANNELS_LAST));
    return;
  }
  const image = e.transpose(e.full(x.id), TO_CHANNELS_FIRST);
  const [, places] = e.model.ops('MaxPool', [image], attrs, [undefined, undefined]);
  const zeros = e.op('Expand', [e.model.f32(0), e.model.i64([sizeOf(x.shape)])]);
  const flat = [sizeOf(dy.shape)];
  const added = e.op('ScatterElements', [zeros, e.reshape(places, flat), e.reshape(grad, flat)], {
    axis: 0,
    reduction: 'add',
  });
  e.define(dx, e.transpose(e.reshape(added, [batch, channels, height, width]), TO_CHANNELS_LAST));
};

/** Where each output pixel lies in the source along one dimension, before clamping. */
function sourceCoordinates(node: NodeView, from: number, to: number, half: number): number[] {
  const scale = flagOf(node, 'alignCorners') && to > 1 ? (from - 1) / (to - 1) : from / to;
  const offset = flagOf(node, 'halfPixelCenters');
  return range(to).map((i) => (offset ? scale * (i + 0.5) - half : scale * i));
}

const clamp = (x: number, size: number): number => Math.min(Math.max(x, 0), size - 1);

/** Interpolation along one dimension as a matrix [to, from] with two entries a row. */
function interpolation(coordinates: readonly number[], from: number): Float32Array {
  const matrix = new Float32Array(coordinates.length * from);
  coordinates.forEach((at, row) => {
    const x = clamp(at, from);
    const low = Math.floor(x);
    const high = Math.min(low + 1, from - 1);
    matrix[row * from + low] += 1 - (x - low);
    matrix[row * from + high] += x - low;
  });
  return matrix;
}

const resizeBilinear: EmitOperation = (e, node) => {
  const [x] = node.inputs;
  const [y] = node.outputs;
  const [batch, height, width, channels] = x.shape;
  const [, outHeight, outWidth] = y.shape;
  const along = (from: number, to: number): string =>
    e.model.f32(interpolation(sourceCoordinates(node, from, to, 0.5), from), [to, from]);
  const rows = e.product(along(height, outHeight), e.reshape(e.full(x.id), [batch, height, width * channels]));
  const columns = e.product(along(width, outWidth), e.reshape(rows, [batch * outHeight, width, channels]));
  e.define(y, e.reshape(columns, y.shape));
};

const resizeNearest: EmitOperation = (e, node) => {
  const [x] = node.inputs;
  const [y] = node.outputs;
  const round = flagOf(node, 'alignCorners') ? Math.round : Math.floor;
  const picked = [1, 2].reduce((name, axis) => {
    const places = sourceCoordinates(node, x.shape[axis], y.shape[axis], 0).map((at) =>
      clamp(round(at), x.shape[axis]),
    );
    return e.op('Gather', [name, e.model.i64(places)], { axis });
  }, e.full(x.id));
  e.define(y, picked);
};

/** Convolution, pooling and resizing of NHWC images. */
export const WINDOW = {
  convolution,
  convolution_input_grad: convolutionInputGrad,
  convolution_filter_grad: convolutionFilterGrad,
  reduce_window: reduceWindow,
  reduce_window_grad: reduceWindowGrad,
  resize_bilinear: resizeBilinear,
  resize_nearest: resizeNearest,
} satisfies Record<string, EmitOperation>;
