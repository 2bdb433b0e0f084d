import '@tensorflow/tfjs';
import type { Engine } from '@selfsup/compile';
import { tfjsEngine } from '@selfsup/compile/node';
import { onnxruntimeEngine } from '@selfsup/engine-onnxruntime';
import { xlaEngine } from '@selfsup/engine-xla';
import { cpuPlugin } from '../../engine-xla/test/plugin.js';

const plugin = cpuPlugin();

/** Engines that golden tests run on, by name; XLA where its CPU plugin is. */
export const ENGINES: Readonly<Record<string, () => Promise<Engine>>> = {
  'tfjs cpu': async () => tfjsEngine({ backend: 'cpu' }),
  onnxruntime: async () => onnxruntimeEngine(),
  // Compiling takes most of the time of these tests, and half as long at the first level of optimisation.
  ...(plugin === undefined
    ? {}
    : { xla: async () => xlaEngine({ plugin, overrides: { xla_backend_optimization_level: 1 } }) }),
};
