import { packageBuild } from '../tsup.base.ts';

export default packageBuild(
  { step: 'src/step.ts', 'step-worker': 'src/step-worker.ts' },
  { dts: false, noExternal: ['@selfsup/bench-kit'] },
);
