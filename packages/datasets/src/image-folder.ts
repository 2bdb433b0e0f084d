import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { datasetOfSamples, type Dataset, type Sample, type Split } from './dataset.js';

/** One image in this many is held out of a folder with labels. */
export const HELD_OUT_ONE_IN = 5;

/** Folder names that mean the held-out part when `train` stands beside, in order of preference. */
const HELD_OUT_FOLDERS = ['test', 'val', 'validation'] as const;

/**
 * Whether an image belongs to the held-out fifth: the first four bytes of the SHA-256 of its key, as a big-endian
 * number, divide by five. It depends on nothing else, so adding or removing images moves no other image.
 *
 * @param key - the path below the data folder, with `/`
 */
export function isHeldOut(key: string): boolean {
  return createHash('sha256').update(key.normalize('NFC')).digest().readUInt32BE(0) % HELD_OUT_ONE_IN === 0;
}

/** First part of a path; undefined for a path without folder. */
function topFolder(path: string): string | undefined {
  const slash = path.indexOf('/');
  return slash < 0 ? undefined : path.slice(0, slash);
}

/** Folder names when every path is in a folder and there are at least two of them: these are classes. */
function classFolders(paths: readonly string[]): string[] | undefined {
  const tops = new Set<string>();
  for (const path of paths) {
    const top = topFolder(path);
    if (top === undefined) return undefined;
    tops.add(top);
  }
  return tops.size >= 2 ? [...tops].sort() : undefined;
}

/** The images of `train` and of the folder that is held out, where a folder is laid out like that (ImageNet is). */
function splitByFolders(paths: readonly string[]): { train: string[]; test: string[] } | undefined {
  const tops = classFolders(paths);
  if (tops === undefined || !tops.includes('train')) return undefined;
  const heldOut: readonly string[] = HELD_OUT_FOLDERS;
  if (!tops.every((top) => top === 'train' || heldOut.includes(top))) return undefined;
  const under = (top: string): string[] => paths.filter((path) => topFolder(path) === top);
  const present = HELD_OUT_FOLDERS.filter((top) => tops.includes(top));
  // ImageNet's test folder has no labels; its validation images are what everybody measures on.
  const labelled = present.find((top) => classFolders(under(top).map((path) => path.slice(top.length + 1))));
  return { train: under('train'), test: under(labelled ?? present[0]) };
}

/** Options of {@link imageFolder}. */
export interface ImageFolderOptions {
  readonly split: Split;
  /** Take folder names for labels where there are some. */
  readonly labels: boolean;
  /** What the hold-out hash sees of a path; images of one group stay together. Default: the path. */
  readonly groupOf: (path: string) => string;
}

/** A data set over listed image files: class folders where there are some, else images without labels. */
export function imageFolder(directory: string, paths: readonly string[], options: ImageFolderOptions): Dataset {
  const { split, groupOf } = options;
  const folders = splitByFolders(paths);
  const inside = (path: string): string => (folders === undefined ? path : path.slice(path.indexOf('/') + 1));
  const parts = folders === undefined ? [paths] : [folders.train, folders.test];
  const found = parts.map((part) => classFolders(part.map(inside)));
  // Labels need classes in the part that is learned from; more may turn up in the held-out part.
  const classes =
    options.labels && found[0] !== undefined ? [...new Set(found.flatMap((names) => names ?? []))].sort() : undefined;

  let chosen: readonly string[];
  if (folders !== undefined) {
    chosen = split === 'all' ? [...folders.train, ...folders.test] : folders[split];
  } else if (classes === undefined || split === 'all') {
    chosen = paths;
  } else {
    chosen = paths.filter((path) => isHeldOut(groupOf(path)) === (split === 'test'));
  }

  const labelOf = new Map(classes?.map((name, index) => [name, index]));
  const samples = chosen.map((path): Sample => {
    const label = labelOf.get(topFolder(inside(path)) ?? '');
    return {
      source: { kind: 'file', path: join(directory, path) },
      name: path,
      ...(label === undefined ? {} : { label }),
    };
  });
  return datasetOfSamples(
    {
      kind: classes === undefined ? 'images' : 'class-folders',
      split: folders === undefined && classes === undefined ? 'all' : split,
      ...(classes === undefined ? {} : { classes }),
    },
    samples,
  );
}
