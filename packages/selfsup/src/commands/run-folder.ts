import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** Nothing where there is no such folder; what is wrong with it is said by whoever makes the run. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** The numbers of the folders `path` (1), `path-2` (2), `path-3` (3), ... that are there. */
function numbersAt(path: string): number[] {
  const parent = dirname(path);
  const name = basename(path);
  return namesIn(parent).flatMap((found) => {
    if (found === name) return [1];
    const number = found.startsWith(`${name}-`) ? found.slice(name.length + 1) : '';
    return /^[1-9]\d*$/.test(number) && number !== '1' ? [Number(number)] : [];
  });
}

/**
 * The folder of a run that was given none: `path`, `path-2`, `path-3`, ... A new run gets the number after the highest
 * that is there, a resumed one the highest that holds a run (`path` itself where none does, so that the error names it).
 */
export function runFolder(path: string, resuming: boolean): string {
  const numbered = (n: number): string => (n <= 1 ? path : `${path}-${n}`);
  const there = numbersAt(path);
  if (!resuming) return numbered(Math.max(0, ...there) + 1);
  return numbered(Math.max(1, ...there.filter((n) => existsSync(join(numbered(n), 'config.json')))));
}
