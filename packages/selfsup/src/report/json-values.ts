/** Values out of JSON that may be of any shape: a run may have been written by another version, or by hand. */
export type Json = Readonly<Record<string, unknown>>;

export function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What is at a path, e.g. `resolved.data`; undefined where there is nothing. */
export function valueAt(json: Json | undefined, path: string): unknown {
  return path.split('.').reduce<unknown>((at, key) => (isRecord(at) ? at[key] : undefined), json);
}

export function numberAt(json: Json | undefined, path: string): number | undefined {
  const value = valueAt(json, path);
  return typeof value === 'number' ? value : undefined;
}

export function textAt(json: Json | undefined, path: string): string | undefined {
  const value = valueAt(json, path);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** A value in one line, with room to break it: `[0.4, 1]`, `{size: 32}`. */
export function inOneLine(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inOneLine).join(', ')}]`;
  if (isRecord(value)) {
    const entries = Object.entries(value).map(([key, inner]) => `${key}: ${inOneLine(inner)}`);
    return `{${entries.join(', ')}}`;
  }
  return String(value);
}

/** Leaves by dotted path, in order; lists count as leaves. */
export function leaves(json: Json, prefix = ''): [string, unknown][] {
  return Object.entries(json).flatMap(([key, value]): [string, unknown][] =>
    isRecord(value) ? leaves(value, `${prefix}${key}.`) : [[`${prefix}${key}`, value]],
  );
}
