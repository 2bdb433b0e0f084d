import { sizeOf } from '@selfsup/core';
import { ELEMENT } from '../element.js';
import { flagOf } from './attributes.js';
import type { Emitter, EmitOperation } from './emitter.js';
import { range } from './shape.js';

/** Where to cut n rows in two: at the largest power of two below n. */
const cut = (n: number): number => 2 ** Math.ceil(Math.log2(n) - 1);

/** Swaps the last two dimensions. */
function swap(e: Emitter, name: string, rank: number): string {
  return e.transpose(name, [...range(rank - 2), rank - 1, rank - 2]);
}

function split(e: Emitter, name: string, sizes: readonly number[], axis: number): string[] {
  return e.model.ops(
    'Split',
    [name, e.model.i64(sizes)],
    { axis },
    sizes.map(() => undefined),
  );
}

/** Top left, bottom left and bottom right block of lower triangular (or symmetric) matrices. */
function lowerBlocks(e: Emitter, a: string, n: number): [string, string, string] {
  const sizes = [cut(n), n - cut(n)];
  const [top, bottom] = split(e, a, sizes, -2);
  const [bottomLeft, bottomRight] = split(e, bottom, sizes, -1);
  return [split(e, top, sizes, -1)[0], bottomLeft, bottomRight];
}

/** [[a, b], [c, d]]; a missing corner is zero. */
function assemble(e: Emitter, batch: readonly number[], n: number, blocks: readonly (string | undefined)[]): string {
  const sizes = [cut(n), n - cut(n)];
  const corner = (row: number, column: number): string => {
    const shape = [...batch, sizes[row], sizes[column]];
    return blocks[2 * row + column] ?? e.model.f64(new Array<number>(sizeOf(shape)).fill(0), shape);
  };
  const rows = [0, 1].map((row) => e.op('Concat', [corner(row, 0), corner(row, 1)], { axis: -1 }));
  return e.op('Concat', rows, { axis: -2 });
}

interface Factor {
  readonly lower: string;
  /** Transpose of the inverse of the factor, upper triangular; only where asked for. */
  readonly inverse?: string;
}

/**
 * Cholesky factor in double, halves first: L21 = A21 L11^-T, then the lower right of A22 - L21 L21T. A root of a
 * negative number gives NaN, which spreads to everything that depends on it.
 */
function factorize(e: Emitter, a: string, batch: readonly number[], n: number, wantInverse: boolean): Factor {
  if (n === 1) {
    const lower = e.op('Sqrt', [a]);
    return wantInverse ? { lower, inverse: e.op('Reciprocal', [lower]) } : { lower };
  }
  const rank = batch.length + 2;
  const [a11, a21, a22] = lowerBlocks(e, a, n);
  const first = factorize(e, a11, batch, cut(n), true);
  const u11 = first.inverse ?? '';
  const l21 = e.op('MatMul', [a21, u11]);
  const l21T = swap(e, l21, rank);
  const rest = e.op('Sub', [a22, e.op('MatMul', [l21, l21T])]);
  const second = factorize(e, rest, batch, n - cut(n), wantInverse);
  const lower = assemble(e, batch, n, [first.lower, undefined, l21, second.lower]);
  if (second.inverse === undefined) return { lower };
  const u12 = e.op('Neg', [e.op('MatMul', [u11, e.op('MatMul', [l21T, second.inverse])])]);
  return { lower, inverse: assemble(e, batch, n, [u11, u12, undefined, second.inverse]) };
}

const cholesky: EmitOperation = (e, { inputs: [a], outputs: [l] }) => {
  const batch = a.shape.slice(0, -2);
  const { lower } = factorize(e, e.cast(e.full(a.id), ELEMENT.f64), batch, a.shape[a.shape.length - 1], false);
  e.define(l, e.cast(lower, ELEMENT.f32));
};

/** Solves l x = b, or lT x = b, in double by halves. */
function solve(e: Emitter, l: string, b: string, rank: number, n: number, transpose: boolean): string {
  if (n === 1) return e.op('Div', [b, l]);
  const [l11, l21, l22] = lowerBlocks(e, l, n);
  const [b1, b2] = split(e, b, [cut(n), n - cut(n)], -2);
  if (transpose) {
    const x2 = solve(e, l22, b2, rank, n - cut(n), true);
    const rest = e.op('Sub', [b1, e.op('MatMul', [swap(e, l21, rank), x2])]);
    return e.op('Concat', [solve(e, l11, rest, rank, cut(n), true), x2], { axis: -2 });
  }
  const x1 = solve(e, l11, b1, rank, cut(n), false);
  const rest = e.op('Sub', [b2, e.op('MatMul', [l21, x1])]);
  return e.op('Concat', [x1, solve(e, l22, rest, rank, n - cut(n), false)], { axis: -2 });
}

const triangularSolve: EmitOperation = (e, node) => {
  const [a, b] = node.inputs;
  const [l, right] = [a, b].map((v) => e.cast(e.full(v.id), ELEMENT.f64));
  const n = a.shape[a.shape.length - 1];
  const x = solve(e, l, right, a.shape.length, n, flagOf(node, 'transpose'));
  e.define(node.outputs[0], e.cast(x, ELEMENT.f32));
};

/** Cholesky factors and triangular systems: ONNX has neither, so they are written out in blocks. */
export const TRIANGULAR = { cholesky, triangular_solve: triangularSolve } satisfies Record<string, EmitOperation>;
