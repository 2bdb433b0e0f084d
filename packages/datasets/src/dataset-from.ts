import { SslError } from '@selfsup/core';
import { datasetOfSamples, type Dataset, type Sample, type Split } from './dataset.js';
import type { ImageSource } from './image-source.js';

/** Options of {@link datasetFrom}. */
export interface DatasetFromOptions {
  /** Class names, in the order of the labels. */
  readonly classes?: readonly string[];
  /** What the samples are. Default `all`. */
  readonly split?: Split;
  /** For messages. Default `custom`. */
  readonly kind?: string;
  /** Stop after this many samples; needed for an endless source. */
  readonly limit?: number;
}

/** Pixels in memory are moved into shared memory once, so that every later hand-over to a worker is free. */
function shareable(source: ImageSource): ImageSource {
  if ((source.kind !== 'rgb' && source.kind !== 'encoded') || source.data.buffer instanceof SharedArrayBuffer)
    return source;
  const data = new Uint8Array(new SharedArrayBuffer(source.data.length));
  data.set(source.data);
  return { ...source, data };
}

function checkLabel(sample: Sample, index: number, classes: readonly string[] | undefined): void {
  const { label } = sample;
  if (label === undefined) return;
  if (Number.isInteger(label) && label >= 0 && (classes === undefined || label < classes.length)) return;
  throw new SslError('BAD_DATA', {
    where: 'datasets.datasetFrom',
    expected: classes === undefined ? 'labels that are integers from 0' : `labels from 0 to ${classes.length - 1}`,
    got: `${label} for sample ${index} (${sample.name})`,
    fix: 'number the classes from 0 in the order of `classes`',
    details: { index, name: sample.name, label },
  });
}

/**
 * A data set from samples of your own: reads the (async) iterable to its end, or up to `limit`. A sample holds only a
 * reference (a path) or encoded or decoded pixels; sources of any other kind can implement {@link Dataset} directly.
 *
 * @throws SslError `DATA_EMPTY` without a sample, `BAD_DATA` for a label outside the classes
 *
 * @example
 * const dataset = await datasetFrom([{ source: { kind: 'file', path: 'cat.jpg' }, name: 'cat.jpg', label: 0 }]);
 */
export async function datasetFrom(
  samples: AsyncIterable<Sample> | Iterable<Sample>,
  options: DatasetFromOptions = {},
): Promise<Dataset> {
  const { classes, split = 'all', kind = 'custom', limit = Infinity } = options;
  const kept: Sample[] = [];
  if (limit > 0) {
    for await (const sample of samples) {
      checkLabel(sample, kept.length, classes);
      kept.push({ ...sample, source: shareable(sample.source) });
      if (kept.length >= limit) break;
    }
  }
  if (kept.length === 0) {
    throw new SslError('DATA_EMPTY', {
      where: 'datasets.datasetFrom',
      expected: 'at least one sample',
      got: 'none',
      fix: 'pass an iterable that yields samples',
    });
  }
  return datasetOfSamples({ kind, split, ...(classes === undefined ? {} : { classes }) }, kept);
}
