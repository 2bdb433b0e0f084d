import type koffiModule from 'koffi';

export type Koffi = typeof koffiModule;

/** Native code called off the main thread runs on stacks of koffi's, of 128 KiB unless told otherwise. */
const STACK_BYTES = 8 << 20;

/** With less than this, XLA's programs have been seen to overflow. */
const LEAST_STACK_BYTES = 1 << 20;

let configured: Promise<Koffi> | undefined;

/** koffi with stacks that XLA fits in; to be asked for before any library is loaded. */
export function loadKoffi(): Promise<Koffi> {
  configured ??= import('koffi').then(({ default: koffi }) => {
    try {
      koffi.config({ async_stack_size: STACK_BYTES });
    } catch {
      // Somebody else has loaded a library, after which sizes stay as they are.
    }
    return koffi;
  });
  return configured;
}

/** `malloc_trim` of glibc; null where the C library has none. */
let trim: ((keep: number) => number) | null | undefined;

/** Gives freed memory back to the system: a compiler has freed half a gigabyte that the C library would keep. */
export function trimMemory(koffi: Koffi): void {
  if (trim === undefined) {
    try {
      trim = koffi.load(null).func('malloc_trim', 'int', ['size_t']) as unknown as (keep: number) => number;
    } catch {
      trim = null;
    }
  }
  trim?.(0);
}

/** Whether XLA fits on the stacks of other threads. */
export function hasRoomyStacks(koffi: Koffi): boolean {
  return (koffi.config().async_stack_size ?? 0) >= LEAST_STACK_BYTES;
}
