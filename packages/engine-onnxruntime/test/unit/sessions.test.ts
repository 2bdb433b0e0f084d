import { describe, expect, it } from 'vitest';
import { OrtExecutable } from '../../src/runtime/executable.js';
import type { Runtime, Session } from '../../src/runtime/session.js';
import { OrtStateStore } from '../../src/runtime/store.js';
import { adamStep } from '../support/steps.js';

/** A runtime whose sessions do nothing; the one with a number fails. */
function failingAt(failing: number): { runtime: Runtime; live: () => number } {
  let [made, live] = [0, 0];
  const session = (): Session => {
    live++;
    return {
      run: () => Promise.resolve(),
      dispose: () => {
        live--;
        return Promise.resolve();
      },
    };
  };
  const runtime: Runtime = {
    api: 'c',
    version: 'none',
    addressOf: undefined,
    createSession: () => (made++ === failing ? Promise.reject(new Error('no memory')) : Promise.resolve(session())),
  };
  return { runtime, live: () => live };
}

describe('the two sessions of a step', () => {
  it.each([0, 1])('are both gone when session %i cannot be made', async (failing) => {
    const { runtime, live } = failingAt(failing);
    const options = {
      runtime,
      store: new OrtStateStore(undefined),
      session: { threads: 1, optimization: 'basic', config: {} },
      commitIf: undefined,
      onDispose: () => undefined,
    } as const;
    await expect(OrtExecutable.create(adamStep([16]), options)).rejects.toThrow('no memory');
    expect(live()).toBe(0);
  });
});
