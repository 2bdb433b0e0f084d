import { packageBuild } from '../../tsup.base.ts';

export default packageBuild({ index: 'src/index.ts', pool: 'src/pool.ts', worker: 'src/worker.ts' });
