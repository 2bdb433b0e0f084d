import { SslError, type SslErrorCode } from './errors.js';

/** Edit distance with transpositions (optimal string alignment). */
function editDistance(a: string, b: string): number {
  const width = b.length + 1;
  const d = new Uint16Array((a.length + 1) * width);
  for (let i = 0; i <= a.length; i++) d[i * width] = i;
  for (let j = 0; j <= b.length; j++) d[j] = j;
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(d[(i - 1) * width + j] + 1, d[i * width + j - 1] + 1, d[(i - 1) * width + j - 1] + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, d[(i - 2) * width + j - 2] + 1);
      }
      d[i * width + j] = best;
    }
  }
  return d[a.length * width + b.length];
}

const halfOf = (length: number): number => Math.max(2, Math.ceil(length / 2));

/**
 * The known name that looks most like `name`; undefined when none comes near.
 *
 * @param most - Letters that may differ, by the length of the known name. Default: half of them, and at least two.
 */
export function nearestName(
  name: string,
  known: readonly string[],
  most: (length: number) => number = halfOf,
): string | undefined {
  let best: string | undefined;
  let bestDistance = Infinity;
  for (const candidate of known) {
    const a = name.toLowerCase();
    const b = candidate.toLowerCase();
    const distance = b.startsWith(a) && a.length > 1 ? 0.5 : editDistance(a, b);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best !== undefined && bestDistance <= most(best.length) ? best : undefined;
}

/**
 * Looks a name up in a table; an unknown name is an error that suggests the nearest one.
 *
 * @throws SslError `UNKNOWN_NAME` (or the given code)
 */
export function pickNamed<T>(
  where: string,
  kind: string,
  name: string,
  table: Readonly<Record<string, T>>,
  code: SslErrorCode = 'UNKNOWN_NAME',
): T {
  if (Object.hasOwn(table, name)) return table[name];
  const known = Object.keys(table);
  const near = nearestName(name, known);
  throw new SslError(code, {
    where,
    expected: `${kind} (one of ${known.join(', ')})`,
    got: `"${name}"`,
    fix: near === undefined ? `use one of ${known.join(', ')}` : `did you mean "${near}"`,
    details: { name, known, ...(near === undefined ? {} : { nearest: near }) },
  });
}
