/** What one look at the machine found. */
export interface Check {
  /** Short name, e.g. `memory`. */
  readonly name: string;
  /** `warning`: works, but worse than it could; `failed`: something selfsup needs is broken. */
  readonly status: 'ok' | 'warning' | 'failed';
  /** What was found, in a line. */
  readonly says: string;
  /** What to do about it; always there unless all is well. */
  readonly fix?: string;
  /** The same for programs. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

export const megabytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MB`;

export const gigabytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GB`;

/** First line of whatever was thrown. */
export function reason(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split('\n', 1)[0];
}
