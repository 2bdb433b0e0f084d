import type { Pointer } from './layout.js';
import type { Plugin } from './plugin.js';

/**
 * Waits until native work is done and gives its event back. The thread that waits is not the main one, and work that is
 * done already costs no thread at all.
 *
 * @param held - Memory that the work uses
 * @throws SslError of the work
 */
export async function settle(plugin: Plugin, event: Pointer, held: readonly unknown[] = []): Promise<void> {
  if (event === 0n) return;
  plugin.live.events++;
  try {
    if (plugin.call('Event_IsReady', { event }).flag('is_ready')) plugin.call('Event_Error', { event });
    else await plugin.callAsync('Event_Await', plugin.argumentsOf('Event_Await', { event }), held);
  } finally {
    plugin.call('Event_Destroy', { event });
    plugin.live.events--;
  }
}

/** Waits for all, also after one has failed, so that nothing runs on behind the error. @throws the first error */
export async function settleAll(waits: readonly Promise<unknown>[]): Promise<void> {
  const ends = await Promise.allSettled(waits);
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed !== undefined) throw failed.reason as Error;
}
