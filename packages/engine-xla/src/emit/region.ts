import type { DType } from '@selfsup/core';
import { typeText, type TensorType } from './writer.js';

/** Names and types, names without the percent sign. */
type Names = readonly (readonly [name: string, type: TensorType])[];

export const scalarType = (dtype: DType): TensorType => ({ shape: [], dtype });

/** The region of an operation: a function of scalars, in braces. */
export function region(parameters: Names, lines: readonly string[], results: Names): string {
  const typed = parameters.map(([name, type]) => `%${name}: ${typeText(type)}`).join(', ');
  const names = results.map(([name]) => `%${name}`).join(', ');
  const types = results.map(([, type]) => typeText(type)).join(', ');
  return ['{', `^body(${typed}):`, ...lines, `stablehlo.return ${names} : ${types}`, '}'].join('\n');
}

/** Two scalars combined by an operation. */
export function combination(op: string, dtype: DType): string {
  const type = scalarType(dtype);
  const line = `%combined = stablehlo.${op} %a, %b : ${typeText(type)}`;
  return region(
    [
      ['a', type],
      ['b', type],
    ],
    [line],
    [['combined', type]],
  );
}

/** A comparison of two scalars, as a line. */
export function comparison(name: string, direction: string, a: string, b: string, dtype: DType): string {
  const type = typeText(scalarType(dtype));
  const kind = dtype === 'f32' ? 'FLOAT' : 'SIGNED';
  return `%${name} = stablehlo.compare ${direction}, %${a}, %${b}, ${kind} : (${type}, ${type}) -> tensor<i1>`;
}
