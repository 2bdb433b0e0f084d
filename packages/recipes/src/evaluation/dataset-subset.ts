import { Rng } from '@selfsup/core';
import type { Dataset } from '@selfsup/datasets';

/**
 * At most `most` of `size` indices, drawn once and for all: the same for every call, and without the rhythm that evenly
 * spaced ones share with data sets sorted by class.
 */
export function fixedSelection(size: number, most: number): number[] {
  if (size <= most) return Array.from({ length: size }, (_, i) => i);
  return Array.from(Rng.of(0, 'selfsup.fixed-selection').permutation(size).subarray(0, most));
}

/** Some samples of a data set as a data set. */
export function subsetOf(dataset: Dataset, indices: readonly number[]): Dataset {
  return {
    ...dataset,
    size: indices.length,
    source: (i) => dataset.source(indices[i]),
    label: (i) => dataset.label(indices[i]),
    name: (i) => dataset.name(indices[i]),
  };
}
