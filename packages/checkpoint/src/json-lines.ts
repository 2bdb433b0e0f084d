import { readFile } from 'node:fs/promises';
import { errorCode, fileFailure } from './files.js';

/** One line of a log: a flat or nested JSON object. */
export type JsonRecord = Readonly<Record<string, unknown>>;

/** JSON has no word for these; in logs they stand as texts, so that a loss that became NaN can be seen as such. */
const NON_FINITE: ReadonlyMap<unknown, number> = new Map([
  ['NaN', NaN],
  ['Infinity', Infinity],
  ['-Infinity', -Infinity],
]);

/** A record as one line of JSON with its line feed; typed arrays become arrays, NaN and infinities texts. */
export function encodeLine(record: JsonRecord): string {
  const text = JSON.stringify(record, (_, value: unknown) => {
    if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
    if (ArrayBuffer.isView(value) && !(value instanceof DataView)) return Array.from(value as Float64Array);
    return value;
  });
  return `${text}\n`;
}

/** What is in a log. */
export interface JsonLines {
  readonly records: JsonRecord[];
  /** Lines that are no JSON object, e.g. one that was cut when the process was killed. */
  readonly damagedLines: number;
}

function parseLine(line: string): JsonRecord | undefined {
  try {
    const value: unknown = JSON.parse(line, (_, inner: unknown) => NON_FINITE.get(inner) ?? inner);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonRecord) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Reads a log of one JSON object per line; lines that cannot be read are left out and counted. A file that is not there
 * is an empty log.
 *
 * @throws SslError `RUN_DIRECTORY` where the file is there but cannot be read
 */
export async function readJsonLines(path: string): Promise<JsonLines> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') return { records: [], damagedLines: 0 };
    throw fileFailure('RUN_DIRECTORY', 'checkpoint.readJsonLines', 'read', path, cause);
  }
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const records = lines.map(parseLine).filter((record) => record !== undefined);
  return { records, damagedLines: lines.length - records.length };
}
