import { fixtureCases } from '@selfsup/test-kit';
import { describe, it } from 'vitest';
import { checkEagerly } from '@selfsup/test-kit/golden-case';
import { dinov2LossCases } from './dinov2-loss.cases.js';

describe.each(fixtureCases('ssl/loss-dinov2-cls'))('$name', (fixture) => {
  it.each(dinov2LossCases(fixture))('gives the same $name', checkEagerly);
});
