import { expect, it } from 'vitest';
import { libraryPath } from '../../../../engine-onnxruntime/src/runtime/c-api.js';
import { hasRoomyStacks, loadKoffi } from '../../../src/pjrt/koffi.js';
import { preloadLibraries } from '../../../src/plugins/preload.js';

it('leaves room on the stacks of other threads for the plugin that comes next', async () => {
  await preloadLibraries([libraryPath()]);
  expect(hasRoomyStacks(await loadKoffi())).toBe(true);
});

it('names the library that is gone', async () => {
  await expect(preloadLibraries(['/nowhere/libgone.so'])).rejects.toMatchObject({
    code: 'ENGINE_MISSING',
    message: expect.stringContaining('/nowhere/libgone.so'),
  });
});
