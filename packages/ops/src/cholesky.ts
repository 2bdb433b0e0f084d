import { checkShape } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { runComposite } from './composite.js';
import { solve } from './triangular-solve.js';
import { lowerTriangle, stackOf, transposeLast, window } from './triangular.js';
import { withGradient } from './with-gradient.js';

/** Width of the diagonal blocks that are factorised column by column. */
const BLOCK = 16;

/**
 * Cholesky factor of symmetric positive definite matrices: a = l lT. The input is symmetrised first, so the gradient is
 * symmetric. A matrix that is not positive definite (or has lost it to rounding) gives NaN on the diagonal of l, never
 * a finite number that looks right.
 *
 * The plain body works in blocks: a diagonal block is eliminated column by column together with the identity beside it,
 * which yields the factor and its inverse; the rest is matrix products.
 *
 * @param a - `[..., N, N]`, float32, symmetric positive definite; N up to about 256 is what it is made for.
 * @returns l, `[..., N, N]`, float32, zero above the diagonal
 * @throws SslError `SHAPE_MISMATCH`
 */
export function cholesky<T extends tf.Tensor>(a: T): T {
  checkShape('ops.cholesky', 'a', a, ['...', 'N', 'N']);
  return withGradient<T>([a], () => {
    const l = factorise(a);
    return { value: l as T, saved: [l], gradient: (dl, [l]) => [choleskyGrad(dl, l)] };
  });
}

/** The composite itself, without shape checks and without gradient. */
export function factorise(a: tf.Tensor): tf.Tensor {
  const [l] = runComposite('Selfsup.Cholesky', { a }, {}, () => [
    tf.reshape(factoriseInBlocks(stackOf(tf.mul(tf.add(a, transposeLast(a)), 0.5))), a.shape),
  ]);
  return l;
}

/**
 * Reverse-mode gradient of the factor (Murray, "Differentiation of the Cholesky decomposition", 2016, eq. 10):
 * with P the lower triangle of lT dl, its diagonal halved, da is the symmetric part of l^-T P l^-1.
 */
function choleskyGrad(dl: tf.Tensor, l: tf.Tensor): tf.Tensor {
  const product = tf.matMul(l, dl, true);
  const phi = tf.sub(lowerTriangle(product), tf.mul(tf.mul(product, tf.eye(l.shape[l.rank - 1])), 0.5));
  const half = solve(l, phi, true); // l^-T P
  const whole = solve(l, transposeLast(half), true); // (l^-T P l^-1)T
  return tf.mul(tf.add(whole, transposeLast(whole)), 0.5);
}

function factoriseInBlocks(a: tf.Tensor3D): tf.Tensor3D {
  const n = a.shape[1];
  const panels: tf.Tensor3D[] = [];
  let rest = a; // what is left of a, `[S, n - at, n - at]`
  for (let at = 0; at < n; at += BLOCK) {
    const size = Math.min(BLOCK, n - at);
    const left = n - at - size;
    const { factor, inverse } = factoriseColumns(window(rest, 0, size, 0, size));
    let panel = factor;
    if (left > 0) {
      const below = solvePanel(window(rest, size, size + left, 0, size), factor, inverse);
      rest = tf.sub(window(rest, size, size + left, size, size + left), tf.matMul(below, below, false, true));
      panel = tf.concat([factor, below], 1);
    }
    panels.push(
      at === 0
        ? panel
        : tf.pad(panel, [
            [0, 0],
            [at, 0],
            [0, 0],
          ]),
    );
  }
  return panels.length === 1 ? panels[0] : tf.concat(panels, 2);
}

/** x of x lT = panel, by the inverse of l and one step of refinement, without which ill-conditioned input fails. */
function solvePanel(panel: tf.Tensor3D, l: tf.Tensor3D, inverse: tf.Tensor3D): tf.Tensor3D {
  const x = tf.matMul(panel, inverse, false, true);
  const residual = tf.sub(panel, tf.matMul(x, l, false, true));
  return tf.add(x, tf.matMul(residual, inverse, false, true));
}

/**
 * Factor and inverse factor of small matrices by elimination of [a | 1]: the rows divided by the roots of their pivots
 * are [lT | l^-1]. Six operations a column.
 */
function factoriseColumns(a: tf.Tensor3D): { factor: tf.Tensor3D; inverse: tf.Tensor3D } {
  const [stack, n] = a.shape;
  let open: tf.Tensor = tf.concat([a, tf.broadcastTo(tf.eye(n), [stack, n, n])], 2); // [S, n, 2 n]
  const rows: tf.Tensor[] = [];
  const pivots: tf.Tensor[] = [];
  for (let j = 0; j < n; j++) {
    const row = tf.slice(open, [0, j, 0], [stack, 1, 2 * n]);
    const pivot = tf.slice(row, [0, 0, j], [stack, 1, 1]);
    rows.push(row);
    pivots.push(pivot);
    if (j < n - 1) {
      const column = tf.slice(open, [0, 0, j], [stack, n, 1]);
      // In this order what is left stays exactly symmetric, which the factor's accuracy rests on.
      open = tf.sub(open, tf.div(tf.mul(column, row), pivot));
    }
  }
  const pivot = tf.concat(pivots, 1); // [S, n, 1]
  // Said outright, since a backend may take the root of a negative number or 0 / 0 for something finite.
  const scale = tf.where(tf.greater(pivot, 0), tf.rsqrt(pivot), tf.fill(pivot.shape, NaN));
  const both = tf.mul(tf.concat(rows, 1), scale) as tf.Tensor3D;
  return {
    factor: lowerTriangle(transposeLast(window(both, 0, n, 0, n))) as tf.Tensor3D,
    inverse: window(both, 0, n, n, 2 * n),
  };
}
