import { nearestName, SslError } from '@selfsup/core';

/** A partial configuration: any nested subset of keys. */
export type Overrides = { readonly [key: string]: unknown };

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Keys that may stand in a configuration although the preset leaves them out, by path. */
export type OptionalKeys = Readonly<Record<string, readonly string[]>>;

function wrong(where: string, path: string, expected: string, got: unknown, fix: string): never {
  throw new SslError('BAD_OPTION', {
    where,
    expected,
    got: JSON.stringify(got) ?? String(got),
    fix,
    details: { path, value: got },
  });
}

/**
 * `base` with some keys replaced. Keys must exist in `base` (or be listed as optional) and keep their JSON type.
 *
 * @throws SslError `BAD_OPTION` for an unknown key (the nearest one is suggested) or another type
 */
export function mergeConfig<T>(
  where: string,
  base: T,
  overrides: Overrides,
  optional: OptionalKeys = {},
  path = '',
): T {
  const merged: Record<string, unknown> = { ...(base as Record<string, unknown>) };
  const extra = Object.hasOwn(optional, path) ? optional[path] : [];
  for (const [key, value] of Object.entries(overrides)) {
    const here = path === '' ? key : `${path}.${key}`;
    if (!Object.hasOwn(merged, key) && !extra.includes(key)) {
      const known = [...new Set([...Object.keys(merged), ...extra])];
      const near = nearestName(key, known);
      wrong(
        where,
        here,
        `a known key under "${path || 'the top level'}" (${known.join(', ')})`,
        key,
        near === undefined ? 'remove it' : `did you mean "${path === '' ? near : `${path}.${near}`}"`,
      );
    }
    const old = Object.hasOwn(merged, key) ? merged[key] : undefined;
    if (value === undefined) continue;
    if (isRecord(old) && isRecord(value)) merged[key] = mergeConfig(where, old, value, optional, here);
    else if (old !== undefined && !compatible(here, old, value)) {
      const fix = `make ${here} ${withArticle(kindOf(old))}, as ${JSON.stringify(old)} is`;
      wrong(where, here, `${here} of type ${kindOf(old)}`, value, fix);
    } else merged[key] = value;
  }
  return merged as T;
}

const kindOf = (value: unknown): string => (Array.isArray(value) ? 'list' : value === null ? 'null' : typeof value);

const withArticle = (kind: string): string => (kind === 'null' ? kind : `${kind === 'object' ? 'an' : 'a'} ${kind}`);

/** Settings that are a word or a number; whoever uses them checks the value. */
const WORD_OR_NUMBER: readonly string[] = ['loss.gamma', 'probe.everySteps'];

function compatible(path: string, old: unknown, value: unknown): boolean {
  const scalar = (v: unknown): boolean => typeof v === 'string' || typeof v === 'number';
  return kindOf(old) === kindOf(value) || (WORD_OR_NUMBER.includes(path) && scalar(old) && scalar(value));
}

/**
 * Turns `a.b=JSON` into `{ a: { b: value } }`; text that is no JSON is taken as a string.
 *
 * @throws SslError `BAD_OPTION` without an equals sign
 */
export function parseAssignment(where: string, text: string): Overrides {
  const at = text.indexOf('=');
  if (at < 1) wrong(where, text, 'key.path=JSON', text, 'write for example --set loss.codingRateEps=0.1');
  const raw = text.slice(at + 1);
  let value: unknown = raw;
  try {
    value = JSON.parse(raw);
  } catch {
    // A bare word is a string: --set teacher.policy=none
  }
  return text
    .slice(0, at)
    .split('.')
    .reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as Overrides;
}
