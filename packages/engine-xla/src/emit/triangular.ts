import { flagOf } from '@selfsup/compile';
import type { EmitOperation } from './operation.js';

/** What is above the diagonal is the implementation's to choose; here it is zero. */
const cholesky: EmitOperation = (w, { inputs: [a] }) => {
  const factor = w.line(`"stablehlo.cholesky"(${a.name}) {lower = true}`, [a], a);
  const rank = a.shape.length;
  const [row, column] = [w.iota('i32', a.shape, rank - 2), w.iota('i32', a.shape, rank - 1)];
  return [w.select(w.compare('GE', row, column), factor, w.scalar('f32', 0))];
};

const triangularSolve: EmitOperation = (w, { attrs, inputs: [a, b] }) => {
  const transpose = flagOf(attrs, 'transpose') ? 'TRANSPOSE' : 'NO_TRANSPOSE';
  const how = `left_side = true, lower = true, unit_diagonal = false, transpose_a = #stablehlo<transpose ${transpose}>`;
  return [w.line(`"stablehlo.triangular_solve"(${a.name}, ${b.name}) {${how}}`, [a, b], b)];
};

/** Matrix factorisation and solution. */
export const TRIANGULAR = { cholesky, triangular_solve: triangularSolve } satisfies Record<string, EmitOperation>;
