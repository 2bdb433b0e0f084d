import { packageTests } from './vitest.base.ts';

export default packageTests({ include: ['{packages,examples}/*/test/{golden,compiled}/**/*.test.ts'] });
