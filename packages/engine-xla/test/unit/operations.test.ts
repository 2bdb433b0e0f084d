import { operationContract } from '@selfsup/test-kit/operations';
import { describe } from 'vitest';
import { xlaEngine } from '../../src/engine.js';
import { cpuPlugin } from '../plugin.js';

const plugin = cpuPlugin();

describe.skipIf(plugin === undefined)('XLA CPU plugin', () => {
  operationContract({ name: 'xla', create: () => xlaEngine({ plugin: plugin ?? '' }) });
});
