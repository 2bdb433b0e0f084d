import type * as tf from '@tensorflow/tfjs-core';
import type { Attributes } from '../graph/attributes.js';
import type { Value } from '../graph/graph.js';
import type { Kernels } from './kernels.js';

/** One operation to run. */
export interface Call {
  readonly kernels: Kernels;
  readonly inputs: readonly tf.Tensor[];
  readonly attrs: Attributes;
  readonly outputs: readonly Value[];
}

/** Runs one operation with tfjs kernels; what it makes besides its outputs is tidied away by the caller. */
export type Rule = (call: Call) => tf.Tensor | tf.Tensor[];
