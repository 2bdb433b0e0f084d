import { fixtureCases } from '@selfsup/test-kit';
import { optimCases } from '../../../optim/test/golden/optim.cases.js';
import { compiledSequences } from './engines.js';

compiledSequences(fixtureCases('ssl/optim'), optimCases);
