import * as tf from '@tensorflow/tfjs-core';
import { sizeOf } from '@selfsup/core';
import type { GraphWriter, KernelCall, KernelRule, Traced } from '../kernel-context.js';

function axesOf(c: KernelCall, x: Traced, name = 'axis'): number[] {
  const axis = (c.attrs[name] ?? c.attrs['axis'] ?? c.attrs['reductionIndices']) as number | number[] | undefined;
  return tf.util.parseAxisParam(axis ?? x.shape.map((_, i) => i), [...x.shape]).sort((a, b) => a - b);
}

const reduction =
  (kind: 'sum' | 'max' | 'min' | 'prod' | 'any' | 'all'): KernelRule =>
  (g, c) => {
    const x = c.in('x');
    // tfjs sums and multiplies booleans as integers.
    const counted = (kind === 'sum' || kind === 'prod') && x.dtype === 'bool' ? g.convert(x, 'i32') : x;
    return g.reduce(kind, counted, axesOf(c, x, 'reductionIndices'), c.attrs['keepDims'] === true);
  };

function mean(g: GraphWriter, c: KernelCall): Traced {
  const x = g.convert(c.in('x'), 'f32');
  const axes = axesOf(c, x);
  const count = sizeOf(axes.map((a) => x.shape[a]));
  return g.binary('multiply', g.reduce('sum', x, axes, c.attrs['keepDims'] === true), g.scalar(1 / count));
}

const arg =
  (op: 'argmax' | 'argmin'): KernelRule =>
  (g, c) => {
    const x = c.in('x');
    const dimension = tf.util.parseAxisParam(c.attrs['axis'] as number, [...x.shape])[0];
    return g.emit(
      op,
      [x],
      x.shape.filter((_, i) => i !== dimension),
      'i32',
      { dimension },
    );
  };

/** exp(x - max) / sum, over any axis; the composite where the engine runs it whole. */
const softmax =
  (composite: boolean): KernelRule =>
  (g, c) => {
    const x = c.in('logits');
    const dim = tf.util.parseAxisParam((c.attrs['dim'] as number | undefined) ?? -1, [...x.shape])[0];
    if (composite && dim === x.shape.length - 1) return g.emit('softmax', [x], x.shape, 'f32');
    const e = g.unary('exponential', g.binary('subtract', x, g.reduce('max', x, [dim], true)));
    return g.binary('divide', e, g.reduce('sum', e, [dim], true));
  };

function logSoftmax(g: GraphWriter, c: KernelCall): Traced {
  const x = c.in('logits');
  const dim = tf.util.parseAxisParam((c.attrs['axis'] as number | undefined) ?? -1, [...x.shape])[0];
  const shifted = g.binary('subtract', x, g.reduce('max', x, [dim], true));
  return g.binary('subtract', shifted, g.unary('log', g.reduce('sum', g.unary('exponential', shifted), [dim], true)));
}

function cumsum(g: GraphWriter, c: KernelCall): Traced {
  const x = c.in('x');
  const dimension = tf.util.parseAxisParam(c.attrs['axis'] as number, [...x.shape])[0];
  const attrs = { dimension, exclusive: c.attrs['exclusive'] === true, reverse: c.attrs['reverse'] === true };
  return g.emit('cumsum', [x], x.shape, x.dtype, attrs);
}

/** Kernels that reduce or normalise along axes. */
export function reductionRules(composites: ReadonlySet<string>): Readonly<Record<string, KernelRule>> {
  return {
    Sum: reduction('sum'),
    Prod: reduction('prod'),
    Max: reduction('max'),
    Min: reduction('min'),
    Any: reduction('any'),
    All: reduction('all'),
    Mean: mean,
    ArgMax: arg('argmax'),
    ArgMin: arg('argmin'),
    Softmax: softmax(composites.has('softmax')),
    LogSoftmax: logSoftmax,
    Cumsum: cumsum,
  };
}
