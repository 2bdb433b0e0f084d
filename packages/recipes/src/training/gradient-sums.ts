import type { NamedTensors, StateStore } from '@selfsup/compile';
import { sizeOf, type HostArrays, type Specs } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { prefixed, under, type TrainedNetworks } from './networks.js';
import { FINITE, trainedNames } from './update.js';

const SUMS = 'accumulated.';

/** State that gradients of parts are added up in: names, shapes, types. */
export function gradientSumSpecs(networks: Pick<TrainedNetworks, 'specs' | 'groups'>): Specs {
  return prefixed(SUMS, Object.fromEntries(trainedNames(networks).map((name) => [name, networks.specs[name]])));
}

function zeroSums(specs: Specs): HostArrays {
  return Object.fromEntries(Object.entries(specs).map(([name, { shape }]) => [name, new Float32Array(sizeOf(shape))]));
}

/** The sums with `weight` times some gradients added, as new state. */
export function addToSums(state: NamedTensors, gradients: NamedTensors, weight = 1): NamedTensors {
  return Object.fromEntries(
    Object.entries(gradients).map(([name, g]) => [
      SUMS + name,
      tf.add(state[SUMS + name], weight === 1 ? g : tf.mul(g, weight)),
    ]),
  );
}

/** The gradients that were added up, and the new state that starts over. */
export function takeSums(state: NamedTensors): { readonly gradients: NamedTensors; readonly cleared: NamedTensors } {
  const gradients = under(SUMS, state);
  const zeros = Object.entries(gradients).map(([name, g]) => [SUMS + name, tf.zerosLike(g)] as const);
  return { gradients, cleared: Object.fromEntries(zeros) };
}

/**
 * A step that adds up gradients, safe to run again after one that failed or was not finite: what that one left in the
 * sums would be in every update from then on.
 */
export function withFreshSums(
  store: StateStore,
  sums: Specs,
  step: (batch: Readonly<HostArrays>) => Promise<HostArrays>,
): (batch: Readonly<HostArrays>) => Promise<HostArrays> {
  let fresh = false;
  return async (batch) => {
    if (!fresh) await store.load(zeroSums(sums));
    fresh = false;
    const metrics = await step(batch);
    fresh = metrics[FINITE][0] === 1;
    return metrics;
  };
}
