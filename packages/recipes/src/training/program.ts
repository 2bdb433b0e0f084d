import type { StateStore } from '@selfsup/compile';
import type { HostArrays } from '@selfsup/core';

/** A training step however it is computed: batch arrays of the whole step in, metrics out. */
export interface TrainingProgram {
  readonly store: StateStore;
  run(batch: Readonly<HostArrays>): Promise<HostArrays>;
  dispose(): Promise<void>;
}
