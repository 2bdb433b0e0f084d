import { SslError } from '@selfsup/core';

/** Work that a signal may stop: what it then throws becomes `INTERRUPTED`. */
export async function interruptible<T>(
  where: string,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (signal?.aborted !== true) throw cause;
    throw new SslError('INTERRUPTED', {
      where: `engine-xla.${where}`,
      expected: 'to finish',
      got: 'an interruption',
      fix: 'start it again; nothing is half done',
      cause,
    });
  }
}
