import { packageBuild } from '../tsup.base.ts';

export default packageBuild(
  {
    step: 'src/step.ts',
    'step-worker': 'src/step-worker.ts',
    'product-worker': 'src/product-worker.ts',
    accumulate: 'src/accumulate.ts',
    devices: 'src/devices.ts',
    memory: 'src/memory.ts',
    'first-step': 'src/first-step.ts',
    'first-ten-minutes': 'src/first-ten-minutes.ts',
    probe: 'src/probe.ts',
    'xla-overhead': 'src/xla-overhead.ts',
    'check-gpu': 'src/check-gpu.ts',
    precision: 'src/precision.ts',
    learning: 'learning/run.ts',
    'learning-ours': 'learning/ours.ts',
    'learning-cost-worker': 'learning/cost-worker.ts',
    'learning-figure': 'learning/figure.ts',
  },
  { dts: false, noExternal: ['@selfsup/bench-kit'] },
);
