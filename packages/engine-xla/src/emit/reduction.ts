import { flagOf, numberOf, numbersOf, wordOf } from '@selfsup/compile';
import { unsupported, type EmitOperation } from './operation.js';
import { comparison, region, scalarType } from './region.js';
import { slidingReduction } from './pooling.js';
import { REDUCERS, typeText, type ReductionKind } from './writer.js';

const isKind = (word: string): word is ReductionKind => Object.hasOwn(REDUCERS, word);

const reduce: EmitOperation = (w, node) => {
  const kind = wordOf(node.attrs, 'kind');
  if (!isKind(kind)) throw unsupported(node, `one of ${Object.keys(REDUCERS).join(', ')}`, kind);
  return [w.reduce(kind, node.inputs[0], numbersOf(node.attrs, 'dimensions'), flagOf(node.attrs, 'keepDims'))];
};

/** The largest (or smallest) value and its place; of equal ones the first. */
const arg =
  (kind: 'max' | 'min'): EmitOperation =>
  (w, { attrs, inputs, outputs: [y] }) => {
    const dimension = numberOf(attrs, 'dimension');
    const x = inputs[0].dtype === 'bool' ? w.convert(inputs[0], 'i32') : inputs[0];
    const places = w.iota('i32', x.shape, dimension);
    const [value, place] = [scalarType(x.dtype), scalarType('i32')];
    const start = [w.scalar(x.dtype, REDUCERS[kind].start(x.dtype)), w.scalar('i32', 0)];
    const lines = [
      comparison('better', kind === 'max' ? 'GT' : 'LT', 'b', 'a', x.dtype),
      comparison('equal', 'EQ', 'b', 'a', x.dtype),
      comparison('before', 'LT', 'j', 'i', 'i32'),
      '%tie = stablehlo.and %equal, %before : tensor<i1>',
      '%take = stablehlo.or %better, %tie : tensor<i1>',
      `%value = stablehlo.select %take, %b, %a : tensor<i1>, ${typeText(value)}`,
      `%place = stablehlo.select %take, %j, %i : tensor<i1>, ${typeText(place)}`,
    ];
    const body = region(
      [
        ['a', value],
        ['i', place],
        ['b', value],
        ['j', place],
      ],
      lines,
      [
        ['value', value],
        ['place', place],
      ],
    );
    const operands = [x, places, ...start];
    const names = operands.map((o) => o.name).join(', ');
    const text = `"stablehlo.reduce"(${names}) (${body}) {dimensions = array<i64: ${dimension}>}`;
    return [w.lineOfMany(text, operands, [{ shape: y.shape, dtype: x.dtype }, y])[1]];
  };

/** A window that reaches from before the first element to the current one, or from the current one to the end. */
const cumsum: EmitOperation = (w, { attrs, inputs: [x] }) => {
  const axis = numberOf(attrs, 'dimension');
  const reverse = flagOf(attrs, 'reverse');
  const along = (value: number): number[] => x.shape.map((_, i) => (i === axis ? value : 0));
  const [before, after] = reverse ? [-1, 1] : [1, -1];
  // Without the element itself: everything moves on by one.
  const shifted = flagOf(attrs, 'exclusive') ? w.pad(x, 0, along(before), along(after)) : x;
  const rest = along(x.shape[axis] - 1);
  const window = x.shape.map((d, i) => (i === axis ? d : 1));
  const [low, high] = reverse ? [along(0), rest] : [rest, along(0)];
  return [slidingReduction(w, 'sum', shifted, { window, low, high })];
};

/** Sorted whole; XLA recognises that only the first k are wanted. */
const topK: EmitOperation = (w, { inputs: [x], outputs: [{ shape }] }) => {
  const last = x.shape.length - 1;
  const places = w.iota('i32', x.shape, last);
  const [value, place] = [scalarType(x.dtype), scalarType('i32')];
  const order = region(
    [
      ['a', value],
      ['b', value],
      ['i', place],
      ['j', place],
    ],
    [comparison('before', 'GT', 'a', 'b', x.dtype)],
    [['before', scalarType('bool')]],
  );
  const text = `"stablehlo.sort"(${x.name}, ${places.name}) (${order}) {dimension = ${last} : i64, is_stable = true}`;
  const start = shape.map(() => 0);
  return w.lineOfMany(text, [x, places], [x, places]).map((sorted) => w.slice(sorted, start, shape));
};

/** Operations along dimensions. */
export const REDUCTION = {
  reduce,
  argmax: arg('max'),
  argmin: arg('min'),
  cumsum,
  top_k: topK,
} satisfies Record<string, EmitOperation>;
