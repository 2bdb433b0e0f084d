import { SslError } from '@selfsup/core';

/** Where a command writes: the result to stdout, everything else to stderr. */
export interface Output {
  readonly json: boolean;
  /** The result: an object with `--json`, text otherwise. */
  result(data: Record<string, unknown>, text: string): void;
  /** A remark for people, on stderr. */
  note(text: string): void;
}

export function createOutput(json: boolean): Output {
  return {
    json,
    result: (data, text) => process.stdout.write(`${json ? JSON.stringify(data) : text}\n`),
    note: (text) => process.stderr.write(`${text}\n`),
  };
}

/** One line for an error, whatever it is. */
export function errorLine(error: unknown): string {
  if (SslError.is(error)) return /^selfsup[.:]/.test(error.message) ? error.message : `selfsup: ${error.message}`;
  const message = error instanceof Error ? error.message : String(error);
  return `selfsup: unexpected failure: ${message.split('\n')[0]}. Set SELFSUP_DEBUG=1 to see where, and please report it.`;
}

/** The JSON form of an error. */
export function errorJson(error: unknown): Record<string, unknown> {
  if (SslError.is(error)) return { error: { code: error.code, message: error.message, details: error.details } };
  return {
    error: { code: 'UNEXPECTED', message: error instanceof Error ? error.message : String(error), details: {} },
  };
}
