import { fixtureCases } from '@selfsup/test-kit';
import { cosinePatchCases } from '../../../loss-coding-rate/test/golden/loss-cosine-patch.cases.js';
import { hasCases, mcrCases, mcrVersionCases } from '../../../loss-coding-rate/test/golden/loss-mcr.cases.js';
import { mcrWorldCases } from '../../../loss-coding-rate/test/golden/loss-world2.cases.js';
import { compiledFunctions } from './engines.js';

compiledFunctions(fixtureCases('ssl/loss-mcr', hasCases), mcrCases);
compiledFunctions(
  fixtureCases('ssl/loss-mcr', (json) => !hasCases(json)),
  mcrVersionCases,
);
compiledFunctions(
  fixtureCases('ssl/loss-world2', (json) => 'reduce_cov' in json['hyper']),
  mcrWorldCases,
);
compiledFunctions(fixtureCases('ssl/loss-cosine-patch'), cosinePatchCases);
