import { fixtureCases } from '@selfsup/test-kit';
import { describe, it } from 'vitest';
import { checkEagerly } from '../../../recipes/test/compiled/golden-case.js';
import { dinoWorldCases } from './world2.cases.js';

describe.each(fixtureCases('ssl/loss-world2', (json) => 'center_momentum' in json['hyper']))('$name', (fixture) => {
  it.each(dinoWorldCases(fixture))('$name', checkEagerly);
});
