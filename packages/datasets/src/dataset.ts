import { SslError } from '@selfsup/core';
import type { ImageSource } from './image-source.js';

/** The part to learn from, the held-out part, or both. */
export type Split = 'train' | 'test' | 'all';

/** One image of a data set. */
export interface Sample {
  readonly source: ImageSource;
  /** Index into the classes; left out where there are no labels. */
  readonly label?: number;
  /** Identifies the sample in messages and reports, e.g. the path below the data folder. */
  readonly name: string;
}

/**
 * Random access to images, by index from 0 to `size - 1`. Implement it to bring a source of your own (or see
 * {@link datasetFrom}); every method is cheap, synchronous and gives the same answer each time, since decoding happens
 * elsewhere, perhaps in another thread.
 */
export interface Dataset {
  /** What kind of data it is, e.g. `cifar10`; for messages. */
  readonly kind: string;
  /** The part this is; `all` for data without labels, where nothing is held out. */
  readonly split: Split;
  readonly size: number;
  /** Class names, in the order of the labels; undefined where there are no labels. */
  readonly classes?: readonly string[];
  /** Where the pixels are: a plain reference that a worker can be sent. */
  source(index: number): ImageSource;
  /** Index into `classes`; undefined where the sample has no label. */
  label(index: number): number | undefined;
  /** Identifies the sample in messages and reports. */
  name(index: number): string;
}

/** @internal Refuses an index outside a data set. */
export function checkIndex(where: string, index: number, size: number): void {
  if (Number.isInteger(index) && index >= 0 && index < size) return;
  throw new SslError('BAD_OPTION', {
    where,
    expected: `an index from 0 to ${size - 1}`,
    got: `${index}`,
    fix: 'take indices from sampleOrder or batchAt',
    details: { index, size },
  });
}

/** @internal A data set over samples held in an array. */
export function datasetOfSamples(
  facts: { readonly kind: string; readonly split: Split; readonly classes?: readonly string[] },
  samples: readonly Sample[],
): Dataset {
  const at = (index: number): Sample => {
    checkIndex('datasets.Dataset', index, samples.length);
    return samples[index];
  };
  return {
    ...facts,
    size: samples.length,
    source: (index) => at(index).source,
    label: (index) => at(index).label,
    name: (index) => at(index).name,
  };
}
