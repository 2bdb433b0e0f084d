import { fixtureCases } from '@selfsup/test-kit';
import { dinoLossCases } from '../../../ema-distill/test/golden/dino-loss.cases.js';
import { dinov2LossCases } from '../../../ema-distill/test/golden/dinov2-loss.cases.js';
import { emaCases } from '../../../ema-distill/test/golden/ema.cases.js';
import { headCases } from '../../../ema-distill/test/golden/heads.cases.js';
import { ibotLossCases } from '../../../ema-distill/test/golden/ibot-loss.cases.js';
import { koleoLossCases } from '../../../ema-distill/test/golden/koleo-loss.cases.js';
import { dinoWorldCases } from '../../../ema-distill/test/golden/world2.cases.js';
import { compiledFunctions, compiledSequences } from './engines.js';

compiledFunctions(fixtureCases('ssl/heads'), headCases);
compiledFunctions(fixtureCases('ssl/loss-koleo'), koleoLossCases);
compiledSequences(fixtureCases('ssl/loss-dino-v1'), dinoLossCases);
compiledSequences(fixtureCases('ssl/loss-dinov2-cls'), dinov2LossCases);
compiledSequences(fixtureCases('ssl/loss-ibot'), ibotLossCases);
compiledSequences(
  fixtureCases('ssl/loss-world2', (json) => 'center_momentum' in json['hyper']),
  dinoWorldCases,
);
compiledSequences(fixtureCases('ssl/ema'), emaCases);
