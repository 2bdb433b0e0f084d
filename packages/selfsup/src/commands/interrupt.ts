import type { Output } from '../terminal/output.js';

/**
 * Runs work that stops in good order at the first Ctrl-C (or SIGTERM); a second one leaves at once.
 *
 * @param says - What happens at the first one.
 */
export async function withInterrupt<T>(
  output: Output,
  work: (signal: AbortSignal) => Promise<T>,
  says = 'stopping after this step; the run will be saved',
): Promise<T> {
  const controller = new AbortController();
  const stop = (): void => {
    if (controller.signal.aborted) process.exit(130);
    output.note(`\n${says} (again to leave at once)`);
    controller.abort();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  try {
    return await work(controller.signal);
  } finally {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
}
