import { createRequire } from 'node:module';
import path from 'node:path';
// The union registers the cpu backend and all gradients; tfjs-core alone has neither in Node.
import '@tensorflow/tfjs';
import { SslError } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Engine } from './engine/engine.js';
import { tfjsEngine as engineFor, type TfjsEngineOptions } from './tfjs-engine/engine.js';

export type { TfjsEngineOptions } from './tfjs-engine/engine.js';

/** Packages that register a backend when imported, used if the user has installed them. */
const OPTIONAL_MODULES: Readonly<Record<string, string>> = {
  node: '@tensorflow/tfjs-node',
  'node-gpu': '@tensorflow/tfjs-node-gpu',
  webgpu: '@tensorflow/tfjs-backend-webgpu',
};

/** Registers the wasm backend and points it to the package's own files, so that nothing is fetched. */
async function registerWasm(): Promise<void> {
  const wasm = await import('@tensorflow/tfjs-backend-wasm');
  if (tf.findBackend('wasm') !== null) return;
  const entry = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm');
  wasm.setWasmPaths(path.dirname(entry) + path.sep);
}

/** A missing package is left to the engine, which says how to get it; one that does not load is an error of its own. */
async function registerOptional(name: string): Promise<void> {
  try {
    await import(name);
  } catch (cause) {
    if ((cause as { code?: string }).code === 'ERR_MODULE_NOT_FOUND') return;
    throw new SslError('BACKEND_MISSING', {
      where: 'compile.tfjsEngine',
      expected: `${name} to load`,
      got: cause instanceof Error ? cause.message : String(cause),
      fix: `reinstall ${name} for this version of Node (${process.version})`,
      cause,
    });
  }
}

/**
 * The tfjs engine for Node: brings the cpu and wasm backends along, and takes tfjs-node, tfjs-node-gpu or the webgpu
 * backend where they are installed. See {@link engineFor}.
 *
 * @example
 * const engine = tfjsEngine({ backend: 'wasm' });
 */
export function tfjsEngine(options: TfjsEngineOptions = {}): Engine {
  return engineFor({
    ...options,
    prepare: async () => {
      await options.prepare?.();
      const { backend = '' } = options;
      if (backend === 'wasm') await registerWasm();
      if (Object.hasOwn(OPTIONAL_MODULES, backend)) await registerOptional(OPTIONAL_MODULES[backend]);
    },
  });
}
