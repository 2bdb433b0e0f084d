import { fixtureCases } from '@selfsup/test-kit';
import { dropPathV1Cases, dropPathV2Cases } from '../../../backbone-vit/test/golden/drop-path.cases.js';
import { positionInterpolationCases } from '../../../backbone-vit/test/golden/position-interpolation.cases.js';
import { vitDinoCases } from '../../../backbone-vit/test/golden/vit-dino.cases.js';
import { vitDinov2Cases } from '../../../backbone-vit/test/golden/vit-dinov2.cases.js';
import { compiledFunctions } from './engines.js';

compiledFunctions(fixtureCases('ssl/vit-dino'), vitDinoCases);
compiledFunctions(fixtureCases('ssl/vit-dinov2'), vitDinov2Cases);
compiledFunctions(fixtureCases('ssl/vit-droppath-v1'), dropPathV1Cases);
compiledFunctions(fixtureCases('ssl/vit-droppath-v2'), dropPathV2Cases);
compiledFunctions(fixtureCases('ssl/pos-embed-interp'), positionInterpolationCases);
