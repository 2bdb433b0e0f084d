import type { StateStore } from '@selfsup/compile';
import type { HostArrays } from '@selfsup/core';

/** A training step however it is computed: batch arrays of the whole step in, metrics out. */
export interface TrainingProgram {
  readonly store: StateStore;
  /** Starts to bring arrays of a coming batch to the device; a step in parts sends its parts as they come. */
  prepare?(arrays: Readonly<HostArrays>): void;
  run(batch: Readonly<HostArrays>): Promise<HostArrays>;
  dispose(): Promise<void>;
}
