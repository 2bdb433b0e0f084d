/** Stable codes of {@link SslError}; adding one is a minor change, changing or removing one a major change. */
export type SslErrorCode =
  | 'BACKEND_MISSING'
  | 'BAD_DATA'
  | 'BAD_OPTION'
  | 'CHECKPOINT_MISMATCH'
  | 'CHECKPOINT_MISSING'
  | 'CHECKPOINT_UNREADABLE'
  | 'DATA_EMPTY'
  | 'DATA_MISSING'
  | 'DOWNLOAD_FAILED'
  | 'ENGINE_FAILED'
  | 'ENGINE_MISSING'
  | 'IMAGE_UNREADABLE'
  | 'INTERRUPTED'
  | 'NO_PARAMS_MATCHED'
  | 'NON_FINITE'
  | 'OUT_OF_MEMORY'
  | 'READ_WHILE_TRACING'
  | 'RUN_DIRECTORY'
  | 'SHAPE_MISMATCH'
  | 'TOO_MANY_BAD_FILES'
  | 'UNKNOWN_NAME'
  | 'UNSUPPORTED'
  | 'WORKER_DIED'
  | 'WRITE_FAILED';

/** What an {@link SslError} says. */
export interface SslErrorInit {
  /** Package and function that refuses, e.g. `loss-coding-rate.codingRate`. */
  readonly where: string;
  /** What it needs, e.g. `student [C, B, D] with C >= 2`. */
  readonly expected: string;
  /** What came in, e.g. `[1, 64, 256]`. */
  readonly got: string;
  /** What to do about it, one sentence without a full stop. */
  readonly fix: string;
  /** Machine-readable facts; goes into `--json` output. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

const MARK = Symbol.for('selfsup.SslError');

/**
 * The one error class of selfsup. Its message reads
 * `package.function: expected ..., got .... Fix: ...`.
 *
 * @example
 * throw new SslError('SHAPE_MISMATCH', {
 *   where: 'ops.cholesky', expected: 'square matrices [..., N, N]', got: '[2, 3]', fix: 'pass a symmetric matrix',
 * });
 */
export class SslError extends Error {
  readonly code: SslErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: SslErrorCode, init: SslErrorInit) {
    super(
      `${init.where}: expected ${init.expected}, got ${init.got}. Fix: ${init.fix}.`,
      init.cause === undefined ? undefined : { cause: init.cause },
    );
    this.name = 'SslError';
    this.code = code;
    this.details = init.details ?? {};
    Object.defineProperty(this, MARK, { value: true });
  }

  /** Whether a value is an {@link SslError}, also one of another copy of this package. */
  static is(value: unknown): value is SslError {
    return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[MARK] === true;
  }
}
