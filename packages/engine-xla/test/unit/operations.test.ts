import { operationContract } from '@selfsup/test-kit/operations';
import { xlaEngine } from '../../src/engine.js';

const plugin = process.env['SELFSUP_XLA_CPU_PLUGIN'] ?? '';
operationContract({ name: 'xla', create: () => xlaEngine({ plugin }) });
