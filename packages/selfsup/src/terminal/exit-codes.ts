import { SslError, type SslErrorCode } from '@selfsup/core';

/** Exit codes of the command line. */
export const EXIT = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** Codes that stand for wrong use, knowable before any work. */
const USAGE: ReadonlySet<SslErrorCode> = new Set<SslErrorCode>([
  'BACKEND_MISSING',
  'BAD_OPTION',
  'CHECKPOINT_MISMATCH',
  'CHECKPOINT_MISSING',
  'DATA_EMPTY',
  'DATA_MISSING',
  'ENGINE_MISSING',
  'RUN_DIRECTORY',
  'UNKNOWN_NAME',
]);

/** Which exit code an error asks for. */
export function exitCodeOf(error: unknown): number {
  if (!SslError.is(error)) return EXIT.failed;
  if (error.code === 'INTERRUPTED') return EXIT.interrupted;
  return USAGE.has(error.code) ? EXIT.usage : EXIT.failed;
}
