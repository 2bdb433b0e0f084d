import { numberOf, numbersOf } from '@selfsup/compile';
import type { EmitOperation } from './operation.js';

const concatenate: EmitOperation = (w, { attrs, inputs, outputs: [y] }) => {
  const names = inputs.map((x) => x.name).join(', ');
  return [w.line(`stablehlo.concatenate ${names}, dim = ${numberOf(attrs, 'dimension')}`, inputs, y)];
};

const reverse: EmitOperation = (w, { attrs, inputs: [x], outputs: [y] }) => [
  w.line(`stablehlo.reverse ${x.name}, dims = [${numbersOf(attrs, 'dimensions').join(', ')}]`, [x], y),
];

const iota: EmitOperation = (w, { attrs, outputs: [y] }) => {
  const steps = w.iota(y.dtype, y.shape, 0);
  return [w.add(w.multiply(steps, numberOf(attrs, 'step')), numberOf(attrs, 'start'))];
};

/** Operations that move data. */
export const SHAPE = {
  reshape: (w, { inputs: [x], outputs: [y] }) => [w.reshape(x, y.shape)],
  broadcast_in_dim: (w, { inputs: [x], outputs: [y] }) => [w.broadcast(x, y.shape)],
  transpose: (w, { attrs, inputs: [x] }) => [w.transpose(x, numbersOf(attrs, 'permutation'))],
  slice: (w, { attrs, inputs: [x] }) => {
    const [start, limit, strides] = ['start', 'limit', 'strides'].map((name) => numbersOf(attrs, name));
    return [w.slice(x, start, limit, strides)];
  },
  pad: (w, { attrs, inputs: [x] }) => [
    w.pad(x, numberOf(attrs, 'value'), numbersOf(attrs, 'low'), numbersOf(attrs, 'high')),
  ],
  concatenate,
  reverse,
  iota,
} satisfies Record<string, EmitOperation>;
