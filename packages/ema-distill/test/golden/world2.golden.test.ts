import { fixtureCases } from '@selfsup/test-kit';
import { describe, it } from 'vitest';
import { checkEagerly } from '@selfsup/test-kit/golden-case';
import { dinoWorldCases } from './world2.cases.js';

describe.each(fixtureCases('ssl/loss-world2', (json) => 'center_momentum' in json['hyper']))('$name', (fixture) => {
  it.each(dinoWorldCases(fixture))('$name', checkEagerly);
});
