import { readdir, realpath, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';

/** Extensions, lower case, of the files taken for images; what is inside decides how they are decoded. */
export const IMAGE_EXTENSIONS: readonly string[] = ['.avif', '.gif', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp'];

/** What a folder holds. */
export interface FoundFiles {
  /** Paths of the images below the folder, with `/`, in order of their UTF-16 code units. */
  readonly images: readonly string[];
  /** How many other files there are, by lower-case extension (`''` for none). */
  readonly others: Readonly<Record<string, number>>;
}

interface Walk {
  readonly visited: Set<string>;
  readonly images: string[];
  readonly others: Record<string, number>;
}

async function walk(directory: string, prefix: string, into: Walk): Promise<void> {
  // One visit per real folder: ends loops of links and keeps an image from being listed twice.
  const real = await realpath(directory);
  if (into.visited.has(real)) return;
  into.visited.add(real);
  const entries = await readdir(directory, { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    if (entry.name.startsWith('.') || entry.name === '__MACOSX') continue;
    const path = join(directory, entry.name);
    // A dangling link counts as a file, so that it is reported as an unreadable image.
    const isFolder = entry.isSymbolicLink()
      ? await stat(path).then(
          (target) => target.isDirectory(),
          () => false,
        )
      : entry.isDirectory();
    if (isFolder) {
      await walk(path, `${prefix}${entry.name}/`, into);
      continue;
    }
    const extension = extname(entry.name).toLowerCase();
    if (IMAGE_EXTENSIONS.includes(extension)) into.images.push(prefix + entry.name);
    else into.others[extension] = (into.others[extension] ?? 0) + 1;
  }
}

/**
 * All image files below a folder, by extension and in a fixed order. Hidden files are left out; links are followed,
 * each folder is visited once.
 */
export async function listImageFiles(directory: string): Promise<FoundFiles> {
  const found: Walk = { visited: new Set(), images: [], others: {} };
  await walk(directory, '', found);
  return { images: found.images.sort(), others: found.others };
}
