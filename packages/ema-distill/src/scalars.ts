import { checkShape } from '@selfsup/core';
import type * as tf from '@tensorflow/tfjs-core';

/** A setting that may be fixed (number) or come with every step's batch (float32 scalar). */
export type ScalarLike = number | tf.Tensor;

/** @throws SslError `SHAPE_MISMATCH` for a tensor that is not a scalar */
export function checkScalar(where: string, name: string, value: ScalarLike): void {
  if (typeof value !== 'number') checkShape(where, name, value, []);
}
