import { packageBuild } from '../../tsup.base.ts';

export default packageBuild({
  index: 'src/index.ts',
  plugins: 'src/plugins/index.ts',
  'trial-child': 'src/plugins/trial-child.ts',
});
