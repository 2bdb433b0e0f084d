import type { GraphDType, Op } from '@selfsup/compile';
import fc from 'fast-check';
import { bool, f32, i32, steps, wave, type OperationCase, type Operand } from './operands.js';

/** Draws cases of one operation. */
export type Draw = fc.Arbitrary<OperationCase>;
export type Shape = readonly number[];

const LARGEST_SIDE = 5;

export const integer = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });
export const seed = integer(1, 1000);

/** Shapes of up to four dimensions, mostly small, the last one sometimes longer than a vector register. */
export function shape({ min = 0, max = 4 } = {}): fc.Arbitrary<number[]> {
  const sides = fc.array(integer(1, LARGEST_SIDE), { minLength: min, maxLength: max });
  return fc
    .tuple(sides, fc.option(integer(1, 40)))
    .map(([s, last]) => (last === null || s.length === 0 ? s : [...s.slice(0, -1), last]));
}

/** A shape, and one that broadcasts to it: dimensions left out in front or set to 1. */
export const broadcastPair: fc.Arbitrary<readonly [full: Shape, small: Shape]> = shape().chain((full) =>
  fc
    .tuple(integer(0, full.length), fc.array(fc.boolean(), { minLength: full.length, maxLength: full.length }))
    .map(([drop, ones]) => [full, full.map((d, i) => (ones[i] ? 1 : d)).slice(drop)] as const),
);

/** A shape with at least one dimension, and one of its dimensions. */
export const withAxis: fc.Arbitrary<readonly [s: number[], axis: number]> = shape({ min: 1 }).chain((s) =>
  integer(0, s.length - 1).map((axis) => [s, axis] as const),
);

/** Values of any type: numbers from low to high (whole ones for i32), or truth values. */
export function values(dtype: GraphDType, s: Shape, low: number, high: number, from: number): Operand {
  if (dtype === 'f32') return wave(s, low, high, from);
  return dtype === 'i32' ? i32(s, steps(s, low, high, from)) : bool(s, steps(s, 0, 1, from));
}

/** Whole numbers as f32: so few that many are equal. */
export const fewValues = (dtype: GraphDType, s: Shape, from: number): Operand =>
  dtype === 'f32' ? f32(s, steps(s, -2, 2, from)) : values(dtype, s, -2, 2, from);

export const dtypes = (...list: GraphDType[]): fc.Arbitrary<GraphDType> => fc.constantFrom(...list);
export const anyDtype = dtypes('f32', 'i32', 'bool');

/** Element-wise on two arrays of numbers, either of which may have to be broadcast; `b` avoids zero. */
export function numeric(op: Op, float: readonly [low: number, high: number] = [-3, 3]): Draw {
  return fc
    .tuple(broadcastPair, dtypes('f32', 'i32'), fc.boolean(), seed)
    .map(([[full, small], dtype, swapped, from]) => {
      const shapes = swapped ? [small, full] : [full, small];
      const a = dtype === 'f32' ? wave(shapes[0], ...float, from) : i32(shapes[0], steps(shapes[0], -50, 50, from));
      const b = dtype === 'f32' ? wave(shapes[1], 0.5, 3, from + 1) : i32(shapes[1], steps(shapes[1], 1, 9, from + 1));
      return { op, inputs: [a, b], outputs: [[full, dtype]] };
    });
}

/** Element-wise on two arrays, drawn by the caller. */
export function pairwise(op: Op, draw: (s: Shape, from: number) => Operand, attrs: OperationCase['attrs'] = {}): Draw {
  return fc.tuple(broadcastPair, fc.boolean(), seed).map(([[full, small], swapped, from]) => {
    const inputs = [draw(full, from), draw(small, from + 1)];
    return { op, inputs: swapped ? inputs.reverse() : inputs, outputs: [[full, inputs[0].dtype]], attrs };
  });
}

/** Element-wise on one array of floats. */
export function unary(op: Op, low: number, high: number, maxRel = 2e-6): Draw {
  return fc
    .tuple(shape(), seed)
    .map(([s, from]) => ({ op, inputs: [wave(s, low, high, from)], outputs: [[s]], maxRel }));
}

/** Operations that only move elements: any type, exact. */
export function moving(
  op: Op,
  input: fc.Arbitrary<readonly [s: Shape, out: Shape, attrs?: OperationCase['attrs']]>,
): Draw {
  return fc.tuple(input, anyDtype, seed).map(([[s, out, attrs = {}], dtype, from]) => ({
    op,
    inputs: [values(dtype, s, -9, 9, from)],
    outputs: [[out, dtype]],
    attrs,
    maxRel: 0,
  }));
}

/** The same number for every dimension of a shape, drawn for each. */
export const perDimension = (s: Shape, min: number, max: number): fc.Arbitrary<number[]> =>
  fc.tuple(...s.map(() => integer(min, max))).map((list) => [...list]);
