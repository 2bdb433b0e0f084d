import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { evalTransform } from '@selfsup/augment-multicrop';
import { nearestName, SslError } from '@selfsup/core';
import type { RgbImage } from '@selfsup/datasets';
import { decode } from '@selfsup/datasets/decode';
import { evaluationTransform } from '@selfsup/recipes';

/** A picture given on the command line. */
export interface Picture {
  readonly path: string;
  readonly image: RgbImage;
}

/** Pictures that could be read, and the others with the reason. */
export interface LoadedPictures {
  readonly pictures: readonly Picture[];
  readonly skipped: readonly { readonly path: string; readonly reason: string }[];
}

async function checkExists(path: string): Promise<void> {
  const facts = await stat(path).catch(() => undefined);
  if (facts?.isFile() === true) return;
  const siblings = await readdir(dirname(path)).catch((): string[] => []);
  const near = nearestName(basename(path), siblings);
  throw new SslError('DATA_MISSING', {
    where: 'selfsup.show',
    expected: 'image files',
    got: `${path}, which ${facts === undefined ? 'does not exist' : 'is a folder'}`,
    fix:
      facts !== undefined
        ? `name the images, e.g. ${join(path, '*.jpg')}`
        : near === undefined
          ? 'check the path'
          : `did you mean ${join(dirname(path), near)}`,
    details: { path },
  });
}

/**
 * Decodes the images named on the command line. One that cannot be decoded is left out, unless it is the only one.
 *
 * @throws SslError `DATA_MISSING` for a path that is no file, `IMAGE_UNREADABLE` when none can be decoded
 */
export async function loadPictures(paths: readonly string[]): Promise<LoadedPictures> {
  for (const path of paths) await checkExists(path);
  const pictures: Picture[] = [];
  const skipped: { path: string; reason: string }[] = [];
  let first: unknown;
  for (const path of paths) {
    try {
      pictures.push({ path, image: await decode({ kind: 'file', path }) });
    } catch (error) {
      if (!SslError.is(error)) throw error;
      first ??= error;
      skipped.push({ path, reason: String(error.details['reason'] ?? error.message) });
    }
  }
  if (pictures.length === 0) throw first;
  return { pictures, skipped };
}

/** An image as the network sees it in evaluation: short side resized, centre cut. */
export function prepared(image: RgbImage, imageSize: number): RgbImage {
  return evalTransform(image, evaluationTransform(imageSize));
}

/** File names for what is made from each path: `prefix-name.png`, numbered where two have the same name. */
export function outputNames(prefix: string, paths: readonly string[]): string[] {
  const taken = new Set<string>();
  return paths.map((path) => {
    const name = `${prefix}-${basename(path, extname(path)).replace(/[^\p{L}\p{N}._-]+/gu, '-')}`;
    let free = name;
    for (let times = 2; taken.has(free); times++) free = `${name}-${times}`;
    taken.add(free);
    return `${free}.png`;
  });
}
