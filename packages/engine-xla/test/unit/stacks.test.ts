import koffi from 'koffi';
import { describe, expect, it } from 'vitest';
import { libraryPath } from '../../../engine-onnxruntime/src/runtime/c-api.js';
import { adamArrays, adamStep } from '../../../engine-onnxruntime/test/support/steps.js';
import { xlaEngine } from '../../src/index.js';
import { cpuPlugin } from '../plugin.js';

const plugin = cpuPlugin();

describe.skipIf(plugin === undefined)('a process where another library came first', () => {
  it('runs XLA where its stack is large enough', async () => {
    // Afterwards koffi's stacks for other threads stay at 128 KiB.
    koffi.load(libraryPath());
    expect(() => koffi.config({ async_stack_size: 1 << 22 })).toThrow();
    const engine = await xlaEngine({ plugin: plugin as string });
    const executable = await engine.compile(adamStep([100]), { commitIf: 'ok' });
    const { state, batch } = adamArrays([100]);
    await executable.store.load(state);
    expect((await executable.run(batch))['ok'][0]).toBe(1);
    await engine.dispose();
    expect(engine.live()).toMatchObject({ buffers: 0, events: 0, executables: 0, clients: 0 });
  });
});
