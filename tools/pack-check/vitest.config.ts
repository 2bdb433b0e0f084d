import { packageTests } from '../../vitest.base.ts';

export default packageTests({ testTimeout: 300_000, hookTimeout: 300_000, maxConcurrency: 2 });
