import type { Output } from '../terminal/output.js';

/** Runs work that stops at the first Ctrl-C (or SIGTERM) after saving; a second one leaves at once. */
export async function withInterrupt<T>(output: Output, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const stop = (): void => {
    if (controller.signal.aborted) process.exit(130);
    output.note('\nstopping after this step; the run will be saved (again to leave at once)');
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
