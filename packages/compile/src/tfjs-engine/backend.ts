import * as tf from '@tensorflow/tfjs-core';
import { nearestName, SslError } from '@selfsup/core';
import type { DeviceInfo } from '../engine/engine.js';

interface BackendInfo {
  /** Name under which the backend registers itself with tfjs. */
  readonly registered: string;
  readonly kind: 'cpu' | 'gpu';
  readonly install: string;
}

const install = (name: string): string => `run npm i ${name} and import it before`;

/** Backends of tfjs by the name we give them; others can be used by the name they register. */
const BACKENDS: Readonly<Record<string, BackendInfo>> = {
  cpu: { registered: 'cpu', kind: 'cpu', install: install('@tensorflow/tfjs') },
  wasm: {
    registered: 'wasm',
    kind: 'cpu',
    install:
      'import tfjsEngine from @selfsup/compile/node, or @tensorflow/tfjs-backend-wasm and call setWasmPaths before',
  },
  webgl: { registered: 'webgl', kind: 'gpu', install: `${install('@tensorflow/tfjs')}; it needs a browser` },
  webgpu: { registered: 'webgpu', kind: 'gpu', install: install('@tensorflow/tfjs-backend-webgpu') },
  node: { registered: 'tensorflow', kind: 'cpu', install: install('@tensorflow/tfjs-node') },
  'node-gpu': { registered: 'tensorflow', kind: 'gpu', install: install('@tensorflow/tfjs-node-gpu') },
};

const infoOf = (name: string): BackendInfo | undefined => (Object.hasOwn(BACKENDS, name) ? BACKENDS[name] : undefined);

/** Name under which tfjs knows a backend. */
export const registeredName = (name: string): string => infoOf(name)?.registered ?? name;

function missing(name: string, got: string, cause?: unknown): SslError {
  const registered = Object.keys(tf.engine().registryFactory);
  const known = [...new Set([...Object.keys(BACKENDS), ...registered])];
  const near = nearestName(name, known);
  const fix =
    infoOf(name)?.install ?? (near === undefined ? `use one of ${known.join(', ')}` : `did you mean "${near}"`);
  return new SslError('BACKEND_MISSING', {
    where: 'compile.tfjsEngine',
    expected: `a tfjs backend that works here (registered: ${registered.join(', ') || 'none'})`,
    got,
    fix,
    details: { backend: name, registered, ...(near === undefined ? {} : { nearest: near }) },
    cause,
  });
}

/**
 * Starts a backend once, so that {@link withBackend} can switch to it at once later; the backend that was active stays
 * active.
 *
 * @throws SslError `BACKEND_MISSING` when it is not registered or cannot start; never takes another one instead
 */
export async function startBackend(name: string): Promise<void> {
  const registered = registeredName(name);
  if (tf.findBackendFactory(registered) == null) throw missing(name, `"${name}"`);
  // Undefined when nothing was used yet, whatever its type says.
  const before = tf.getBackend() as string | undefined;
  if (before === registered && tf.findBackend(registered) !== null) return checkDevice(name);
  let started = false;
  let cause: unknown;
  try {
    started = await tf.setBackend(registered);
  } catch (error) {
    cause = error;
  }
  if (before !== undefined && before !== registered) await tf.setBackend(before);
  if (!started) throw missing(name, `"${name}", which is registered but does not start`, cause);
  checkDevice(name);
}

/** `node-gpu` falls back to the CPU without failing; the backend itself tells the truth. */
function checkDevice(name: string): void {
  if (name !== 'node-gpu') return;
  const backend = tf.findBackend(registeredName(name)) as { isUsingGpuDevice?: boolean } | null;
  if (backend?.isUsingGpuDevice !== true) throw missing(name, '"node-gpu" running on the CPU');
}

/**
 * Runs synchronous code with a started backend active, then makes the one from before active again. tfjs has one global
 * engine: nothing may be awaited while a backend is borrowed.
 */
export function withBackend<T>(name: string, work: () => T): T {
  const registered = registeredName(name);
  const before = tf.getBackend() as string | undefined;
  if (before === registered) return work();
  // Switching to a started backend happens before the promise is returned; startBackend has seen it succeed.
  void tf.setBackend(registered);
  try {
    return work();
  } finally {
    if (before !== undefined) void tf.setBackend(before);
  }
}

/** What `devices()` says about a backend. */
export function deviceOf(name: string): DeviceInfo {
  return { name: `tfjs ${name}`, kind: infoOf(name)?.kind ?? 'other' };
}
