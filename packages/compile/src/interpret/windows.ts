import { convolutionGeometry, flagOf, windowGeometry, type Attributes } from '../graph/attributes.js';
import type { Evaluator, HostValue } from './host-value.js';

type Shape = readonly number[];

/**
 * Visits every (output pixel, input pixel inside the image, tap) of a sliding window over an NHWC image; pixels as
 * numbers of their first channel, taps as row-major place in the window.
 */
function forEachTap(
  image: Shape,
  out: Shape,
  window: Shape,
  geometry: { strides: Shape; dilations: Shape; padding: Shape },
  visit: (outPixel: number, inPixel: number, tap: number) => void,
): void {
  const [batch, height, width, channels] = image;
  const [, outHeight, outWidth, outChannels] = out;
  const { strides, dilations, padding } = geometry;
  for (let b = 0; b < batch; b++) {
    for (let i = 0; i < outHeight; i++) {
      for (let j = 0; j < outWidth; j++) {
        for (let tap = 0; tap < window[0] * window[1]; tap++) {
          const row = i * strides[0] - padding[0] + Math.floor(tap / window[1]) * dilations[0];
          const column = j * strides[1] - padding[2] + (tap % window[1]) * dilations[1];
          if (row < 0 || row >= height || column < 0 || column >= width) continue;
          const outPixel = ((b * outHeight + i) * outWidth + j) * outChannels;
          visit(outPixel, ((b * height + row) * width + column) * channels, tap);
        }
      }
    }
  }
}

/** Visits the places (x, w, y) of every product of a convolution y = x * w. */
function forEachProduct(
  x: Shape,
  w: Shape,
  y: Shape,
  attrs: Attributes,
  visit: (x: number, w: number, y: number) => void,
): void {
  const geometry = convolutionGeometry(attrs);
  const [, , inner, outChannels] = w;
  const perGroup = outChannels / geometry.groups;
  forEachTap(x, y, w, geometry, (outPixel, inPixel, tap) => {
    for (let o = 0; o < outChannels; o++) {
      const first = Math.floor(o / perGroup) * inner;
      for (let c = 0; c < inner; c++) visit(inPixel + first + c, (tap * inner + c) * outChannels + o, outPixel + o);
    }
  });
}

/** Fills an output with sums taken in double. */
function sumInto(out: HostValue, add: (totals: Float64Array) => void): void {
  const totals = new Float64Array(out.data.length);
  add(totals);
  out.data.set(totals);
}

/** Visits the places (x, y) of every element a pooling window covers, channel by channel. */
function forEachCovered(x: Shape, y: Shape, attrs: Attributes, visit: (x: number, y: number) => void): void {
  const { window, strides, padding } = windowGeometry(attrs);
  forEachTap(x, y, window, { strides, dilations: [1, 1], padding }, (outPixel, inPixel) => {
    for (let c = 0; c < x[3]; c++) visit(inPixel + c, outPixel + c);
  });
}

/** For every output element the place of the first largest element of its window; -1 where it covers nothing. */
function largestPlaces(x: HostValue, y: Shape, size: number, attrs: Attributes): Int32Array {
  const places = new Int32Array(size).fill(-1);
  forEachCovered(x.shape, y, attrs, (i, o) => {
    if (places[o] < 0 || x.data[i] > x.data[places[o]]) places[o] = i;
  });
  return places;
}

/** Coordinate in the source for each output coordinate along one dimension. */
function sourceCoordinates(from: number, to: number, attrs: Attributes, half: number): Float64Array {
  const aligned = flagOf(attrs, 'alignCorners') && to > 1;
  const scale = aligned ? (from - 1) / (to - 1) : from / to;
  const halfPixel = flagOf(attrs, 'halfPixelCenters');
  return Float64Array.from({ length: to }, (_, i) => (halfPixel ? scale * (i + 0.5) - half : scale * i));
}

/** Calls `value` with the source coordinates of every output element, its image and its channel. */
function resizeInto(
  x: HostValue,
  out: HostValue,
  attrs: Attributes,
  half: number,
  value: (at: (row: number, column: number) => number, row: number, column: number) => number,
): void {
  const [, height, width, channels] = x.shape;
  const [batch, outHeight, outWidth] = out.shape;
  const rows = sourceCoordinates(height, outHeight, attrs, half);
  const columns = sourceCoordinates(width, outWidth, attrs, half);
  let place = 0;
  for (let b = 0; b < batch; b++) {
    for (const row of rows) {
      for (const column of columns) {
        for (let c = 0; c < channels; c++) {
          const at = (i: number, j: number): number => x.data[((b * height + i) * width + j) * channels + c];
          out.data[place++] = value(at, row, column);
        }
      }
    }
  }
}

const clamp = (x: number, size: number): number => Math.min(Math.max(x, 0), size - 1);

/** Convolution, pooling and resizing of NHWC images. */
export const WINDOW = {
  convolution: ([x, w], [y], attrs) => {
    sumInto(y, (totals) => {
      forEachProduct(x.shape, w.shape, y.shape, attrs, (i, k, o) => (totals[o] += x.data[i] * w.data[k]));
    });
  },
  convolution_input_grad: ([dy, w], [dx], attrs) => {
    sumInto(dx, (totals) => {
      forEachProduct(dx.shape, w.shape, dy.shape, attrs, (i, k, o) => (totals[i] += dy.data[o] * w.data[k]));
    });
  },
  convolution_filter_grad: ([x, dy], [dw], attrs) => {
    sumInto(dw, (totals) => {
      forEachProduct(x.shape, dw.shape, dy.shape, attrs, (i, k, o) => (totals[k] += x.data[i] * dy.data[o]));
    });
  },
  reduce_window: ([x], [y], attrs) => {
    if (windowGeometry(attrs).kind === 'sum') {
      sumInto(y, (totals) => forEachCovered(x.shape, y.shape, attrs, (i, o) => (totals[o] += x.data[i])));
      return;
    }
    const places = largestPlaces(x, y.shape, y.data.length, attrs);
    places.forEach((i, o) => (y.data[o] = i < 0 ? -Infinity : x.data[i]));
  },
  reduce_window_grad: ([dy, x], [dx], attrs) => {
    sumInto(dx, (totals) => {
      if (windowGeometry(attrs).kind === 'sum') {
        forEachCovered(x.shape, dy.shape, attrs, (i, o) => (totals[i] += dy.data[o]));
        return;
      }
      const places = largestPlaces(x, dy.shape, dy.data.length, attrs);
      places.forEach((i, o) => {
        if (i >= 0) totals[i] += dy.data[o];
      });
    });
  },
  resize_bilinear: ([x], [out], attrs) => {
    const [, height, width] = x.shape;
    resizeInto(x, out, attrs, 0.5, (at, row, column) => {
      const top = clamp(Math.floor(row), height);
      const left = clamp(Math.floor(column), width);
      const bottom = clamp(Math.ceil(row), height);
      const right = clamp(Math.ceil(column), width);
      const across = clamp(column, width) - left;
      const upper = at(top, left) + (at(top, right) - at(top, left)) * across;
      const lower = at(bottom, left) + (at(bottom, right) - at(bottom, left)) * across;
      return upper + (lower - upper) * (clamp(row, height) - top);
    });
  },
  resize_nearest: ([x], [out], attrs) => {
    const [, height, width] = x.shape;
    const nearest = flagOf(attrs, 'alignCorners') ? Math.round : Math.floor;
    resizeInto(x, out, attrs, 0, (at, row, column) => at(clamp(nearest(row), height), clamp(nearest(column), width)));
  },
} satisfies Readonly<Record<string, Evaluator>>;
