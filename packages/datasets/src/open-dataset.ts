import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { nearestName, SslError } from '@selfsup/core';
import { findCifar, openCifar } from './cifar.js';
import type { Dataset, Split } from './dataset.js';
import { IMAGE_EXTENSIONS, listImageFiles, type FoundFiles } from './image-files.js';
import { imageFolder } from './image-folder.js';

/** Options of {@link openDataset}. */
export interface OpenDatasetOptions {
  /** Which part to open. Default `all`. */
  readonly split?: Split;
  /** Whether folder names are labels where images lie in two or more of them. Default `from-folders`. */
  readonly labels?: 'from-folders' | 'none';
  /**
   * What the hold-out hash sees of a path below the folder (default: the path itself). Images of one group, such as the
   * colour variants of a drawing, stay on the same side.
   */
  readonly groupOf?: (path: string) => string;
}

/** Folder inside the official CIFAR-10 and CIFAR-100 archives. */
const CIFAR_SUBFOLDERS = ['cifar-10-batches-bin', 'cifar-100-binary'];

/** Any folder holds names that share half their letters with a wrong one: a third may differ. */
const ofPath = (length: number): number => Math.max(1, Math.floor(length / 3));

/** The nearest name to the first part of a path that does not exist, as a whole path; undefined when none is near. */
async function nearestPath(path: string): Promise<string | undefined> {
  const parent = dirname(path);
  if (parent === path) return undefined;
  const siblings = await readdir(parent).catch(() => undefined);
  if (siblings === undefined) return nearestPath(parent);
  const near = nearestName(basename(path), siblings, ofPath);
  return near === undefined ? undefined : join(parent, near);
}

async function missing(directory: string): Promise<SslError> {
  const near = await nearestPath(resolve(directory));
  return new SslError('DATA_MISSING', {
    where: 'datasets.openDataset',
    expected: 'a folder of images or of CIFAR binary files',
    got: `${directory}, which does not exist`,
    fix: near === undefined ? 'check the path' : `did you mean ${near}`,
    details: { directory, ...(near === undefined ? {} : { nearest: near }) },
  });
}

function notAFolder(path: string): SslError {
  return new SslError('DATA_MISSING', {
    where: 'datasets.openDataset',
    expected: 'a folder of images or of CIFAR binary files',
    got: `${path}, which is a file`,
    fix: `pass the folder, ${dirname(path)}, or unpack the file if it is an archive`,
    details: { directory: path },
  });
}

function unreadable(directory: string, cause: unknown): SslError {
  return new SslError('DATA_MISSING', {
    where: 'datasets.openDataset',
    expected: `to be able to list ${directory}`,
    got: cause instanceof Error ? cause.message : String(cause),
    fix: 'check the permissions of the folder',
    details: { directory },
    cause,
  });
}

function empty(directory: string, found: FoundFiles, names: readonly string[]): SslError {
  const others = Object.entries(found.others)
    .sort(([, a], [, b]) => b - a)
    .map(([extension, count]) => `${count} ${extension === '' ? 'without extension' : extension}`);
  const shown = `${others.slice(0, 6).join(', ')}${others.length > 6 ? ', ...' : ''}`;
  let fix = `pass a folder with ${IMAGE_EXTENSIONS.join(', ')} files or CIFAR binary files`;
  if (names.some((name) => /^data_batch_\d+$/.test(name))) {
    fix = 'these are the Python version of CIFAR-10; download the binary version (data_batch_1.bin ...)';
  } else if (Object.keys(found.others).some((extension) => /^\.(zip|tar|tgz|gz|7z)$/.test(extension))) {
    fix = 'unpack the archive first';
  }
  return new SslError('DATA_EMPTY', {
    where: 'datasets.openDataset',
    expected: `images below ${directory}`,
    got: others.length === 0 ? 'no file at all' : `none, but other files (${shown})`,
    fix,
    details: { directory, found: found.others },
  });
}

/**
 * Opens a data folder; what it holds is found out from its contents:
 *
 * - CIFAR-10 or CIFAR-100 in the binary version, plain or gzipped: `train` and `test` are the official parts.
 * - `train` and `test` (or `val`, `validation`) folders: those are the parts.
 * - images in two or more folders: the folder names are the labels, and one image in five, chosen by a hash of its path,
 *   is the `test` part.
 * - any other tree of images: no labels; nothing is held out, every split is the whole (`dataset.split` says `all`).
 *
 * Only names are read (CIFAR: the whole files, into shared memory); images are decoded later with
 * `@selfsup/datasets/decode`.
 *
 * @throws SslError `DATA_MISSING` where there is no such folder, `DATA_EMPTY` where it (or the split) holds no image,
 *   `BAD_DATA` where a CIFAR file is damaged
 *
 * @example
 * const dataset = await openDataset('photos', { split: 'train' });
 * const image = await decode(dataset.source(0));
 */
export async function openDataset(directory: string, options: OpenDatasetOptions = {}): Promise<Dataset> {
  const { split = 'all', labels = 'from-folders', groupOf = (path) => path } = options;
  const facts = await stat(directory).catch(() => undefined);
  if (facts === undefined) throw await missing(directory);
  if (!facts.isDirectory()) throw notAFolder(directory);

  const names = await readdir(directory).catch((cause: unknown) => {
    throw unreadable(directory, cause);
  });
  for (const folder of ['', ...CIFAR_SUBFOLDERS.filter((name) => names.includes(name))]) {
    const place = join(directory, folder);
    const files = findCifar(folder === '' ? names : await readdir(place).catch(() => []));
    if (files !== undefined) return openCifar(place, files, split);
  }

  const found = await listImageFiles(directory).catch((cause: unknown) => {
    throw unreadable(directory, cause);
  });
  if (found.images.length === 0) throw empty(directory, found, names);
  const dataset = imageFolder(directory, found.images, { split, labels: labels === 'from-folders', groupOf });
  if (dataset.size === 0) {
    throw new SslError('DATA_EMPTY', {
      where: 'datasets.openDataset',
      expected: `images in the ${split} part of ${directory}`,
      got: `none of its ${found.images.length}`,
      fix: 'add images, or put the parts into folders named train and test',
      details: { directory, split, images: found.images.length },
    });
  }
  return dataset;
}
