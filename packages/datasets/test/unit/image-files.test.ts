import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { listImageFiles } from '../../src/index.js';
import { emptyFiles, temporaryFolder } from '../support/folders.js';

test('lists images by extension in any case, sorted, and counts the rest', async () => {
  const folder = await temporaryFolder(
    emptyFiles(
      'b.PNG',
      'a-b/x.jpg',
      'a/y.jpeg',
      'a/deep/er/z.WebP',
      'README.md',
      'notes.txt',
      'more.txt',
      'LICENSE',
      'v.svg',
    ),
  );
  const found = await listImageFiles(folder);
  expect(found.images).toEqual(['a-b/x.jpg', 'a/deep/er/z.WebP', 'a/y.jpeg', 'b.PNG']);
  expect(found.others).toEqual({ '.md': 1, '.txt': 2, '': 1, '.svg': 1 });
});

test('hidden files and folders are left out', async () => {
  const folder = await temporaryFolder(emptyFiles('.a.jpg', '.thumbs/b.jpg', '__MACOSX/c.jpg', 'd.jpg'));
  expect((await listImageFiles(folder)).images).toEqual(['d.jpg']);
});

test('loops of links end and no folder is listed twice', async () => {
  const folder = await temporaryFolder(emptyFiles('a/x.jpg', 'b/y.jpg'));
  await symlink('..', join(folder, 'a', 'up'));
  await symlink('../b', join(folder, 'a', 'same'));
  expect((await listImageFiles(folder)).images).toEqual(['a/same/y.jpg', 'a/x.jpg']);
});

test('links to images are images, dangling ones too: they are reported when decoded', async () => {
  const folder = await temporaryFolder(emptyFiles('x.jpg'));
  await symlink('x.jpg', join(folder, 'link.jpg'));
  await symlink('nowhere.jpg', join(folder, 'dangling.jpg'));
  expect((await listImageFiles(folder)).images).toEqual(['dangling.jpg', 'link.jpg', 'x.jpg']);
});

test('a folder named like an image is a folder', async () => {
  const folder = await temporaryFolder(emptyFiles('album.jpg/x.png'));
  await mkdir(join(folder, 'empty.jpg'));
  expect((await listImageFiles(folder)).images).toEqual(['album.jpg/x.png']);
});
