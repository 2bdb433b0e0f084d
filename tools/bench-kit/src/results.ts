import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { dirname } from 'node:path';

/** A cell of a results table. */
export type Cell = string | number | undefined;

/** What every row says about when and where. */
export function circumstances(): Record<string, Cell> {
  const processors = cpus();
  return {
    date: new Date().toISOString().slice(0, 16),
    commit: commit(),
    cpu: processors[0]?.model.trim(),
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
  };
}

/** Short name of the commit, with `+` when the tree has changed since; undefined outside a repository. */
function commit(): string | undefined {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain') === '' ? '' : '+');
  } catch {
    return undefined;
  }
}

function quoted(cell: Cell): string {
  const text = cell === undefined ? '' : String(cell);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * Adds a row to a CSV file, with the {@link circumstances} in front; writes the header into a new file.
 *
 * @throws Error when the file has other columns: start a new file instead of mixing tables
 */
export function appendResult(path: string, row: Readonly<Record<string, Cell>>): void {
  const all = { ...circumstances(), ...row };
  const header = Object.keys(all).map(quoted).join(',');
  if (existsSync(path)) {
    const [found] = readFileSync(path, 'utf8').split('\n', 1);
    if (found !== header) {
      throw new Error(
        `bench-kit.appendResult: expected columns ${found} of ${path}, got ${header}. Fix: use a new file.`,
      );
    }
  } else {
    mkdirSync(dirname(path), { recursive: true });
    appendFileSync(path, `${header}\n`);
  }
  appendFileSync(path, `${Object.values(all).map(quoted).join(',')}\n`);
}
