import { existsSync } from 'node:fs';

/**
 * The folder of a run that was given none: `path`, `path-2`, `path-3`, ...; a new run takes the first that is not there,
 * a resumed one the last that is (`path` itself where none is, so that the error names it).
 */
export function runFolder(path: string, resuming: boolean): string {
  const numbered = (n: number): string => (n === 1 ? path : `${path}-${n}`);
  let free = 1;
  while (existsSync(numbered(free))) free++;
  return numbered(resuming ? Math.max(1, free - 1) : free);
}
