import { flagOf } from '@selfsup/compile';
import { sameShape, sizeOf } from '@selfsup/core';
import type { EmitOperation } from './operation.js';
import { range, type FactorPrecision, type FunctionWriter, type Tensor } from './writer.js';

/** Full float32 on devices whose default is less (TensorFloat-32 on NVIDIA's); bfloat16 factors have no more digits. */
const PRECISION = { f32: 'precision = [HIGHEST, HIGHEST]', bf16: 'precision = [DEFAULT, DEFAULT]' };

/** Dimensions that a product pairs up, of the left and of the right factor. */
interface Contraction {
  readonly batch?: readonly [left: readonly number[], right: readonly number[]];
  readonly over: readonly [left: readonly number[], right: readonly number[]];
}

/**
 * Product summed over `over`; the result has the batch dimensions, then the rest of a, then the rest of b.
 *
 * @param precision - of the factors; the sums are float32
 */
export function dot(
  w: FunctionWriter,
  a: Tensor,
  b: Tensor,
  { batch = [[], []], over }: Contraction,
  precision: FactorPrecision = 'f32',
): Tensor {
  const rest = (x: Tensor, side: 0 | 1): number[] =>
    x.shape.filter((_, i) => !batch[side].includes(i) && !over[side].includes(i));
  const shape = [...batch[0].map((i) => a.shape[i]), ...rest(a, 0), ...rest(b, 1)];
  const pairs = ([left, right]: readonly (readonly number[])[]): string =>
    `[${left.join(', ')}] x [${right.join(', ')}]`;
  const batched = batch[0].length === 0 ? '' : `batching_dims = ${pairs(batch)}, `;
  const [left, right] = precision === 'bf16' ? [w.rounded(a), w.rounded(b)] : [a, b];
  const text = `stablehlo.dot_general ${left.name}, ${right.name}, ${batched}contracting_dims = ${pairs(over)}, ${PRECISION[precision]}`;
  return w.line(text, [left, right], { shape, dtype: a.dtype });
}

/** What a matrix product is told. */
interface ProductOptions {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  /** Of the factors; f32 by default. */
  readonly precision?: FactorPrecision;
}

/** Matrix product of the last two dimensions, either factor transposed or not; all others are equal in a and b. */
export function matrixProduct(
  w: FunctionWriter,
  a: Tensor,
  b: Tensor,
  { transposeA = false, transposeB = false, precision = 'f32' }: ProductOptions = {},
): Tensor {
  const rank = a.shape.length;
  const batch = range(rank - 2);
  const over = [[transposeA ? rank - 2 : rank - 1], [transposeB ? rank - 1 : rank - 2]] as const;
  return dot(w, a, b, { batch: [batch, batch], over }, precision);
}

const dotGeneral: EmitOperation = (w, { attrs, inputs: [a, b], outputs: [y] }) => {
  const [transposeA, transposeB] = [flagOf(attrs, 'transposeA'), flagOf(attrs, 'transposeB')];
  const precision = attrs['precision'] === 'default' ? w.precision : 'f32';
  const matrix = b.shape.slice(-2);
  if (sizeOf(matrix) === sizeOf(b.shape)) {
    // One matrix for all of a: a single product of many rows.
    const last = a.shape.length - 1;
    const over = [[transposeA ? last - 1 : last], [transposeB ? 1 : 0]] as const;
    return [w.reshape(dot(w, a, w.reshape(b, matrix), { over }, precision), y.shape)];
  }
  const batch = y.shape.slice(0, -2);
  const full = (x: Tensor): Tensor =>
    sameShape(x.shape.slice(0, -2), batch) ? x : w.broadcast(x, [...batch, ...x.shape.slice(-2)]);
  return [matrixProduct(w, full(a), full(b), { transposeA, transposeB, precision })];
};

/** Matrix products. */
export const PRODUCT = { dot_general: dotGeneral } satisfies Record<string, EmitOperation>;
