/** Kinds of element in an ONNX file, as ONNX numbers them. */
export const ELEMENT = { f32: 1, u8: 2, i32: 6, i64: 7, bool: 9, f64: 11 } as const;

export type Element = keyof typeof ELEMENT;

/** Bytes of one element. */
export function elementBytes(element: Element): number {
  return element === 'f64' || element === 'i64' ? 8 : element === 'f32' || element === 'i32' ? 4 : 1;
}
