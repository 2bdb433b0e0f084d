import { SslError, checkShape, formatShape, sameShape } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { runComposite } from './composite.js';
import { invertLower, lowerTriangle, stackOf, window } from './triangular.js';
import { withGradient } from './with-gradient.js';

/** Options of {@link triangularSolve}. */
export interface TriangularSolveOptions {
  /** Solve lT x = b instead of l x = b; false by default. */
  readonly transpose?: boolean;
}

/** Largest diagonal block that is inverted whole. */
const LARGEST_BLOCK = 32;

/**
 * Solves l x = b (or lT x = b) for lower triangular matrices, in blocks. Both arguments are differentiated.
 *
 * @param l - `[..., N, N]`, float32, lower triangular; what stands above the diagonal is ignored as long as it is
 *   finite. A zero on the diagonal gives non-finite numbers.
 * @param b - `[..., N, M]`, float32, with the leading dimensions of l.
 * @returns x, `[..., N, M]`, float32
 * @throws SslError `SHAPE_MISMATCH`
 */
export function triangularSolve(
  l: tf.Tensor,
  b: tf.Tensor,
  { transpose = false }: TriangularSolveOptions = {},
): tf.Tensor {
  const sizes = checkShape('ops.triangularSolve', 'l', l, ['...', 'N', 'N']);
  checkShape('ops.triangularSolve', 'b', b, ['...', 'N', 'M'], sizes);
  if (!sameShape(l.shape.slice(0, -2), b.shape.slice(0, -2))) {
    throw new SslError('SHAPE_MISMATCH', {
      where: 'ops.triangularSolve',
      expected: `b with the leading dimensions of l ${formatShape(l.shape)}`,
      got: formatShape(b.shape),
      fix: 'broadcast or reshape b so that its leading dimensions are those of l',
      details: { l: [...l.shape], b: [...b.shape] },
    });
  }
  return withGradient([l, b], () => {
    const x = solve(l, b, transpose);
    return {
      value: x,
      saved: [l, x],
      gradient: (dx, [l, x]) => {
        const db = solve(l, dx, !transpose);
        const outer = transpose ? tf.matMul(x, db, false, true) : tf.matMul(db, x, false, true);
        return [lowerTriangle(tf.neg(outer)), db];
      },
    };
  });
}

/** The composite itself, without shape checks and without gradient; for the gradients of this package. */
export function solve(l: tf.Tensor, b: tf.Tensor, transpose: boolean): tf.Tensor {
  const [x] = runComposite('Selfsup.TriangularSolve', { a: l, b }, { transpose }, () => [
    tf.reshape(solveInBlocks(stackOf(l), stackOf(b), transpose), b.shape),
  ]);
  return x;
}

function solveInBlocks(l: tf.Tensor3D, b: tf.Tensor3D, transpose: boolean): tf.Tensor3D {
  const [stack, n, m] = b.shape;
  const count = Math.max(1, Math.ceil(n / LARGEST_BLOCK));
  const size = Math.ceil(n / count);
  const padded = count * size;
  if (padded > n) {
    // Equal blocks can be inverted together; the extra rows are those of the identity.
    const extra = tf.pad(tf.eye(padded - n), [
      [n, 0],
      [n, 0],
    ]);
    const grow = (x: tf.Tensor3D, columns: number): tf.Tensor3D => {
      const widths: [number, number][] = [
        [0, 0],
        [0, padded - n],
        [0, columns],
      ];
      return tf.pad(x, widths);
    };
    const wide = tf.add(grow(l, padded - n), extra) as tf.Tensor3D;
    return window(solveInBlocks(wide, grow(b, 0), transpose), 0, n, 0, m);
  }
  const diagonal = Array.from({ length: count }, (_, i) => {
    const at = i * size;
    return window(l, at, at + size, at, at + size);
  });
  const inverses = invertLower(count === 1 ? l : tf.concat(diagonal, 0)); // [count * S, size, size]
  const inverse = (i: number): tf.Tensor3D =>
    count === 1 ? inverses : tf.slice(inverses, [i * stack, 0, 0], [stack, size, size]);

  const solved: tf.Tensor3D[] = [];
  let rest = b;
  for (let step = 0; step < count; step++) {
    const left = n - (step + 1) * size; // rows that stay unknown after this step
    if (transpose) {
      const x: tf.Tensor3D = tf.matMul(inverse(count - 1 - step), window(rest, left, left + size, 0, m), true);
      if (left > 0)
        rest = tf.sub(window(rest, 0, left, 0, m), tf.matMul(window(l, left, left + size, 0, left), x, true));
      solved.unshift(x);
    } else {
      const x: tf.Tensor3D = tf.matMul(inverse(step), window(rest, 0, size, 0, m));
      const at = step * size;
      const below = window(l, at + size, n, at, at + size);
      if (left > 0) rest = tf.sub(window(rest, size, size + left, 0, m), tf.matMul(below, x));
      solved.push(x);
    }
  }
  return count === 1 ? solved[0] : tf.concat(solved, 1);
}
